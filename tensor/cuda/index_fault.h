// An index outside its bounds that a kernel has met. A kernel cannot throw and the host does not
// wait for it: the first fault stays in device memory, and the next copy to the host throws it.
#pragma once
#include <cstdint>

namespace passband::cuda {

struct IndexFault {
  const char* op;  // of the host, only carried by the device; null: no fault
  int64_t position, index, bound;
};

// The slot of the device in use, in device memory; made on first use, which must not be inside a
// graph's recording.
IndexFault* index_fault_slot();
void release_index_fault_slot();

// Throws "op: index 7 is 10, outside [0, 10)" if a kernel has left a fault, and clears it. The
// stream must have been synchronised.
void throw_index_fault();

}  // namespace passband::cuda
