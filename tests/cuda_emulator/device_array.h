// Device memory that owns itself, for tests.
#pragma once
#include <utility>
#include <vector>

#include "tensor/cuda/runtime.h"

namespace passband::testing {

template <class T> class DeviceArray {
 public:
  explicit DeviceArray(size_t count, std::source_location site = std::source_location::current())
      : count_(count), memory_(static_cast<T*>(cuda::device_malloc(count * sizeof(T), site))) {}
  DeviceArray(const std::vector<T>& values,
              std::source_location site = std::source_location::current())
      : DeviceArray(values.size(), site) {
    cuda::copy(memory_, values.data(), count_ * sizeof(T), cuda::Copy::to_device);
  }
  ~DeviceArray() { cuda::device_free(memory_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  operator T*() const { return memory_; }
  std::vector<T> to_host() const {
    std::vector<T> values(count_);
    cuda::copy(values.data(), memory_, count_ * sizeof(T), cuda::Copy::to_host);
    return values;
  }

 private:
  size_t count_;
  T* memory_;
};

}  // namespace passband::testing
