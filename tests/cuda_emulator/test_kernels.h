// Sound kernels that the emulator's tests run, from naive to tensor cores. The .cu compiles with
// nvcc as well.
#pragma once
#include <cstdint>

#include "tensor/core/dtype.h"
#include "tensor/cuda/runtime.h"

namespace passband::testing {

using cuda::StreamHandle;

// y = a x + y, 16 bytes at a time where the addresses allow it.
void axpy(float a, const float* x, float* y, int64_t n, StreamHandle stream = nullptr);

// total = sum of x, in one launch: the last block to finish adds up what the blocks have found.
// `partial` holds one float per block, `finished` one zero; both are scratch.
void sum(const float* x, float* total, float* partial, unsigned* finished, int64_t n, int blocks);

// Mean and variance of each row of x (rows, columns), the variance from the differences to the
// mean; a block per row.
void moments(const float* x, float* mean, float* variance, int rows, int columns);

// c (m, n) = a (m, k) b (k, n) with tiles of tile x tile in dynamic shared memory.
void matmul_tiled(const float* a, const float* b, float* c, int m, int n, int k, int tile);

// c (m, n) = a (m, k) b^T, b (n, k); m a multiple of 16, n of 8, k of 16 (bf16) or 8 (tf32). One
// warp per tile.
void matmul_bf16(const bf16* a, const bf16* b, float* c, int m, int n, int k);
void matmul_tf32(const float* a, const float* b, float* c, int m, int n, int k);
// The same product (m, n, k multiples of 16, 16, 32) through double-buffered cp.async and ldmatrix,
// four warps a block.
void matmul_bf16_pipelined(const bf16* a, const bf16* b, float* c, int m, int n, int k);

// y = softmax(x) over rows of `columns`, f32 accumulation; a warp per row.
void softmax_rows(const bf16* x, bf16* y, int rows, int columns);

// What each warp intrinsic gives to each of 32 lanes: (kWarpResults, 32) integers.
inline constexpr int kWarpResults = 17;
void warp_results(int* results);

// counts (bins) += how often each value appears in x.
void histogram(const int* x, unsigned* counts, int n, int bins);

// y[i] = how many of its block's threads have an odd x (count), whether all have (and), whether any
// has (or): (3, n).
void barrier_votes(const int* x, int* y, int n, int block);

// y (columns, rows) = transpose of x (rows, columns), through shared memory.
void transpose(const float* x, float* y, int rows, int columns, StreamHandle stream = nullptr);

// ranks[i] = how many threads had come to the atomic counter before thread i did.
inline constexpr int kArrivalBlocks = 5, kArrivalThreads = 96;
void arrival_ranks(int* ranks, int* counter);

// 64 threads, of which n reach a barrier and then write 1 to y.
void barrier_after_return(float* y, int n);

// A grid of (2, 3, 4) blocks of (3, 5, 2) threads; each adds 1 to the element of its coordinates, x
// fastest.
void count_coordinates(int* seen);

}  // namespace passband::testing
