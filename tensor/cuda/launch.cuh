// Launches and shared memory, for nvcc and, on the host compiler, for the emulator. Kernel files
// include device.cuh, which has this and more.
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "tensor/core/dtype.h"
#include "tensor/core/error.h"
#include "tensor/cuda/runtime.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

// SHARED(float, tile, [8][33]) declares `__shared__ float tile[8][33]`. Bytes, because element
// types such as bf16 have a default constructor, which a shared variable cannot run. Aligned for
// 16-byte accesses.
#define SHARED(Type, name, ...)                                                   \
  using name##_type = Type __VA_ARGS__;                                           \
  __shared__ __align__(alignof(name##_type) > 16                                  \
                           ? alignof(name##_type)                                 \
                           : 16) unsigned char name##_bytes[sizeof(name##_type)]; \
  auto& name = reinterpret_cast<name##_type&>(name##_bytes)

// DYNAMIC_SHARED(float, tile): the memory that Launch::shared_bytes asks for, as `float* tile`. It
// begins at a multiple of 1,024 bytes, as warp group products ask for (warpgroup.cuh).
#define DYNAMIC_SHARED(Type, name)                                        \
  extern __shared__ __align__(1024) unsigned char dynamic_shared_bytes[]; \
  Type* const name = reinterpret_cast<Type*>(dynamic_shared_bytes)

#else
#include <cuda_emulator/emulator.h>

#define SHARED(Type, name, ...)                                                  \
  using name##_type = Type __VA_ARGS__;                                          \
  static ::passband::emulator::SharedSlot name##_slot;                           \
  auto& name = *static_cast<name##_type*>(::passband::emulator::shared_variable( \
      name##_slot, sizeof(name##_type), alignof(name##_type), #name))

#define DYNAMIC_SHARED(Type, name) \
  Type* const name = static_cast<Type*>(::passband::emulator::dynamic_shared())

#endif

namespace passband::cuda {

struct Launch {
  dim3 grid = 1;
  dim3 block = 1;
  size_t shared_bytes = 0;  // dynamic shared memory per block
  StreamHandle stream = nullptr;
  std::source_location site = std::source_location::current();
};

#if defined(__CUDACC__)
// Lets blocks of `kernel` have this much dynamic shared memory, on the device in use. What a kernel
// was granted only grows: a recorded launch needs what it was recorded with, whatever later
// launches ask for. (The 48 KiB that need no grant are those of dynamic and static memory
// together.) Throws where the device has less.
void grant_shared_memory(const void* kernel, size_t bytes, const std::source_location& site);
#endif

// Puts kernel(args...) on a stream; a grid without blocks is no launch. The arguments are converted
// to the kernel's parameter types; a kernel template needs its arguments spelled out: launch({...},
// softmax_kernel<float>, x, y, n).
template <class... Params, class... Args>
void launch(const Launch& config, void (*kernel)(Params...), Args&&... args) {
  if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return;
#if defined(__CUDACC__)
  if (config.shared_bytes)
    grant_shared_memory(reinterpret_cast<const void*>(kernel), config.shared_bytes, config.site);
  cudaLaunchConfig_t native{};
  native.gridDim = config.grid;
  native.blockDim = config.block;
  native.dynamicSmemBytes = config.shared_bytes;
  native.stream = config.stream;
  const cudaError_t error = cudaLaunchKernelEx(&native, kernel, static_cast<Params>(args)...);
  PASSBAND_CHECK(error == cudaSuccess, "kernel launch: ", cudaGetErrorString(error), ", at ",
                 config.site.file_name(), ":", config.site.line());
#else
  emulator::enqueue_kernel(
      std::make_shared<emulator::BoundCall<Params...>>(kernel, static_cast<Params>(args)...),
      config.grid, config.block, config.shared_bytes, config.stream, config.site);
#endif
}

}  // namespace passband::cuda
