// One slot per device, read at every copy to the host once anybody has asked for it.
#include "tensor/cuda/index_fault.h"

#include <map>

#include "tensor/core/error.h"
#include "tensor/cuda/device_memory.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

std::map<int, DeviceMemory>& slots() {
  static std::map<int, DeviceMemory> by_device;
  return by_device;
}

IndexFault* fault_in(const DeviceMemory& slot) { return static_cast<IndexFault*>(slot.data()); }
void clear(const DeviceMemory& slot) {
  fill_async(slot.data(), 0, sizeof(IndexFault), compute_stream());
}

}  // namespace

IndexFault* index_fault_slot() {
  const auto [found, is_new] = slots().try_emplace(device_in_use(), sizeof(IndexFault));
  if (is_new) clear(found->second);
  return fault_in(found->second);
}

void release_index_fault_slot() { slots().erase(device_in_use()); }

void throw_index_fault() {
  const auto found = slots().find(device_in_use());
  if (found == slots().end()) return;
  IndexFault fault;
  copy(&fault, found->second.data(), sizeof fault, Copy::to_host, compute_stream());
  if (!fault.op) return;
  clear(found->second);
  throw Error(with_scope(concat_text(fault.op, ": index ", fault.position, " is ", fault.index,
                                     ", outside [0, ", fault.bound, ")")));
}

}  // namespace passband::cuda
