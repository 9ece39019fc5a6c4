// One slot per device, read at every copy to the host once anybody has asked for it.
#include "tensor/cuda/index_fault.h"

#include <map>

#include "tensor/core/error.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

std::map<int, IndexFault*>& slots() {
  static auto* const by_device = new std::map<int, IndexFault*>;
  return *by_device;
}

void clear(IndexFault* slot) { fill_async(slot, 0, sizeof(IndexFault), compute_stream()); }

}  // namespace

IndexFault* index_fault_slot() {
  IndexFault*& slot = slots()[device_in_use()];
  if (!slot) {
    slot = static_cast<IndexFault*>(device_malloc(sizeof(IndexFault)));
    clear(slot);
  }
  return slot;
}

void throw_index_fault() {
  const auto found = slots().find(device_in_use());
  if (found == slots().end()) return;
  IndexFault fault;
  copy(&fault, found->second, sizeof fault, Copy::to_host, compute_stream());
  if (!fault.op) return;
  clear(found->second);
  throw Error(with_scope(concat_text(fault.op, ": index ", fault.position, " is ", fault.index,
                                     ", outside [0, ", fault.bound, ")")));
}

}  // namespace passband::cuda
