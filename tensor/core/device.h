// Where a tensor lives.
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

[[noreturn]] inline void throw_no_cuda(const char* kernel, const Device& device) {
  throw Error(with_scope(concat_text(kernel, ": tensor is on ", device.str(),
                                     " but this build has no CUDA (configure with -DPASSBAND_CUDA=ON)")));
}

}  // namespace passband

// Picks the kernel of the device's backend: DISPATCH(x.device(), softmax_forward, y, x). The timer lives until the
// end of the statement.
#ifdef PASSBAND_HAS_CUDA
#define DISPATCH(device, kernel, ...)                   \
  (static_cast<void>(::passband::KernelTimer{#kernel}), \
   (device).is_cuda() ? cuda::kernel(__VA_ARGS__) : cpu::kernel(__VA_ARGS__))
#else
#define DISPATCH(device, kernel, ...)                  \
  (static_cast<void>(::passband::KernelTimer{#kernel}), \
   (device).is_cuda() ? ::passband::throw_no_cuda(#kernel, device) : cpu::kernel(__VA_ARGS__))
#endif
