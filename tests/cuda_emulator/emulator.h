// CUDA for the host compiler: a kernel written for nvcc, executed on the CPU by g++, thread by
// thread.
//
// The .cu sources include "tensor/cuda/device.cuh" and read as CUDA. nvcc compiles them for the
// GPU; g++ (-x c++) finds this header instead of <cuda_runtime.h>. Every CUDA thread is a fiber.
// Blocks run one after another on one thread of the operating system, so a run is a pure function
// of (source, input, order, seed) and every failure can be repeated.
//
// What it reports, by kernel, launch site, block, thread and line (controls.h sets how strict and
// in which order):
//   every build     divergent barriers, deadlocks, lying warp masks, bad launches, misaligned
//                   vector accesses through load_pack, accesses outside device memory, writes past
//                   the end of a variable, stack overflow, host code that touches device memory,
//                   leaks. Memory never written holds 0xFF: NaN, or -1.
//   checked build   in addition races (in a warp, a block, a grid), reads of memory never written,
//                   any access outside a variable, kernels that touch host memory, undefined
//                   arithmetic (checker.cpp)
//   address build   what AddressSanitizer sees; device and shared memory are poisoned for it
//   counted build   reports nothing more, but counts global bytes, sectors and bank conflicts
//                   (counter.h)
// What it cannot know: timing, registers, occupancy, and memory ordering weaker than sequential.
#pragma once
#include <cmath>
#include <cstdint>

#include "tests/cuda_emulator/entry_points.h"
#include "tests/cuda_emulator/intrinsics.h"
#include "tests/cuda_emulator/vector_types.h"
#include "tests/cuda_emulator/warp_intrinsics.h"

// Debugging a kernel in it:
//   1. Build for the emulator with debug information, without optimisation, and start gdb on the
//      kernel's test:
//          cmake -S . -B build-debug -DCMAKE_BUILD_TYPE=Debug && cmake --build build-debug
//          gdb --args build-debug/tests/cuda_emulator_plain --test-case="*softmax*"
//   2. threadIdx, blockIdx, blockDim and gridDim are plain variables. Stop in the thread you want
//      to watch:
//          (gdb) break softmax_cuda.cu:40 if threadIdx.x == 5 && blockIdx.x == 1
//          (gdb) handle SIGSEGV nostop noprint pass, then run: it is how device memory is opened
//          (gdb) print tile[3][7]            a shared variable is a plain array
//          (gdb) print dx[threadIdx.x]@4     gdb may read device memory at any time, host code not
//   3. `next` and `step` stay in this thread up to a barrier or a warp operation; there the other
//      threads run until they arrive as well. To follow your thread across, put `tbreak` on the
//      line after the barrier, with the same condition. `call passband_print_threads()` says where
//      each thread of the block waits.
//   4. PASSBAND_EMULATOR="order=reverse,seed=7" in the environment repeats a schedule that a test
//      has printed.

// Qualifiers. Shared memory is declared by SHARED and DYNAMIC_SHARED of device.cuh, on both
// compilers: a plain `__shared__` would leave the emulator without the variable's bounds.
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#pragma GCC poison __shared__

// Plain variables, not macros: a host variable named blockDim must still compile.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// The language proper lives in a namespace of its own, opened to every kernel.
namespace passband::emulator::language {

inline void __syncthreads(Location at = Location::current()) { barrier(Barrier::plain, 0, at); }
inline int __syncthreads_count(int predicate, Location at = Location::current()) {
  return barrier(Barrier::count, predicate, at);
}
inline int __syncthreads_and(int predicate, Location at = Location::current()) {
  return barrier(Barrier::all, predicate, at);
}
inline int __syncthreads_or(int predicate, Location at = Location::current()) {
  return barrier(Barrier::any, predicate, at);
}
inline void __syncwarp(uint32_t mask = ~0u, Location at = Location::current()) {
  sync_warp(mask, at);
}
inline void __threadfence() { fence(); }
inline void __threadfence_block() {}

}  // namespace passband::emulator::language

using namespace passband::emulator::language;
