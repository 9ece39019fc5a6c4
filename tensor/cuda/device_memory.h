// Memory of a device other than that of tensors, and its owners.
#pragma once
#include "tensor/cuda/runtime.h"

namespace passband::cuda {

// Device memory with an owner.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes, CallSite site = CallSite::current())
      : data_(device_malloc(bytes, site)) {}
  ~DeviceMemory() { device_free(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* data() const { return data_; }

 private:
  void* data_;
};

// Waits for the device in use and gives back what it was given: compute stream, step offset, the
// slot of index faults, cached memory of tensors. No tensor or recording of it may be used
// afterwards. The next use makes all of it anew. The end of the program does the same for every
// device, cached memory apart, which goes with the driver.
void close_device();

}  // namespace passband::cuda
