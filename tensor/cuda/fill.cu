// Fill: bounded by memory bandwidth, one store per element; used for constants, never inside a
// training step.
#include <algorithm>

#include "tensor/core/memory.h"
#include "tensor/cuda/device.cuh"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

template <class T> __global__ void fill_kernel(T* memory, T value, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    memory[i] = value;
}

template <class T> void fill_as(void* memory, uint64_t pattern, int64_t count) {
  const int64_t blocks = std::min<int64_t>((count + 255) / 256, 4096);
  launch({.grid = static_cast<unsigned>(blocks), .block = 256, .stream = compute_stream()},
         fill_kernel<T>, static_cast<T*>(memory), static_cast<T>(pattern), count);
}

}  // namespace

void fill_elements(void* memory, uint64_t pattern, int64_t width, int64_t count) {
  if (count == 0) return;
  switch (width) {
    case 1: return fill_as<uint8_t>(memory, pattern, count);
    case 2: return fill_as<uint16_t>(memory, pattern, count);
    case 4: return fill_as<uint32_t>(memory, pattern, count);
    default: return fill_as<uint64_t>(memory, pattern, count);
  }
}

}  // namespace passband::cuda
