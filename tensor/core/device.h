// The device that a tensor lives on.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/core/error.h"
#include "tensor/core/profile.h"

namespace passband {

enum class DeviceType : uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int8_t index = 0;

  bool is_cuda() const { return type == DeviceType::cuda; }
  std::string str() const { return is_cuda() ? "cuda:" + std::to_string(index) : "cpu"; }
  friend bool operator==(const Device&, const Device&) = default;
};

// In a build without CUDA, every tensor is on the CPU.
inline void check_on_cpu(const char* function, const Device& device) {
  PASSBAND_CHECK(!device.is_cuda(), function, ": tensor is on ", device.str(),
                 " but this build has no CUDA (configure with -DPASSBAND_CUDA=ON)");
}

}  // namespace passband

// Calls the function of the device's backend; sources write ON_DEVICE.
#ifdef PASSBAND_HAS_CUDA
#define PASSBAND_ON_DEVICE(device, function, ...) \
  ((device).is_cuda() ? cuda::function(__VA_ARGS__) : cpu::function(__VA_ARGS__))
#else
#define PASSBAND_ON_DEVICE(device, function, ...) \
  (::passband::check_on_cpu(#function, device), cpu::function(__VA_ARGS__))
#endif

// Picks the kernel of the device's backend: DISPATCH(x.device(), softmax_forward, y, x) in sources.
// The timer lives until the end of the statement.
#define PASSBAND_DISPATCH(device, kernel, ...)          \
  (static_cast<void>(::passband::KernelTimer{#kernel}), \
   PASSBAND_ON_DEVICE(device, kernel, __VA_ARGS__))
