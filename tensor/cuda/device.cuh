// The one include of a kernel file: launches, shared memory, vector accesses, tensor cores,
// asynchronous copies. nvcc compiles it for the GPU. The host compiler (-x c++) compiles the same
// kernels for the emulator: see tests/cuda_emulator/emulator.h for what that finds, and for how to
// step through a kernel in a debugger.
//
//     __global__ void scale_kernel(const float* __restrict__ x, float* __restrict__ y, int64_t n) {
//       SHARED(float, tile, [8][33]);
//       ...
//     }
//     launch({.grid = blocks, .block = 256, .stream = stream}, scale_kernel, x, y, n);
#pragma once
#include "tensor/cuda/async_copy.cuh"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/mma.cuh"
#include "tensor/cuda/vector.cuh"
