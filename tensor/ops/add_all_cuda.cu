// y += x of many small tensors: the gradients of a model's parameters, which would take a launch
// each.
//
// Bound: launches. ResNet-50 has 161 such sums; at 2 to 3 us one by one they took 390 us of a step
// of ViT-Ti and 660 of AlterNet-50 (H200, batch 512), where their 12 bytes an element are worth 16
// and 80.
#include <algorithm>

#include "tensor/core/kernel_source.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/add_all_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256, kPerThread = 8, kPerBlock = kThreads * kPerThread;
constexpr int kMostSums = 120;  // of a launch, whose arguments have 4 KiB

struct Sum {
  float* y;
  const void* x;
  int64_t n;
  int first_block;
  bool half;  // x is bf16
};

struct Sums {
  Sum of[kMostSums];
  int count = 0;
};

template <class T> __device__ __forceinline__ void add_rows(const Sum& sum,
                                                            const T* __restrict__ from,
                                                            int64_t begin) {
  T x[kPerThread];
  float y[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if (begin + i * kThreads < sum.n) {
      x[i] = from[begin + i * kThreads];
      y[i] = sum.y[begin + i * kThreads];
    }
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if (begin + i * kThreads < sum.n) sum.y[begin + i * kThreads] = y[i] + static_cast<float>(x[i]);
}

// The sum that a block belongs to is the last one that begins with it or before.
__global__ void __launch_bounds__(kThreads) add_all_kernel(Sums sums) {
  const int block = static_cast<int>(blockIdx.x);
  int first = 0, end = sums.count;
  while (end - first > 1) {
    const int middle = (first + end) / 2;
    if (sums.of[middle].first_block <= block) first = middle;
    else end = middle;
  }
  const Sum& sum = sums.of[first];
  const int64_t begin = int64_t{block - sum.first_block} * kPerBlock + threadIdx.x;
  if (sum.half) add_rows(sum, static_cast<const bf16*>(sum.x), begin);
  else add_rows(sum, static_cast<const float*>(sum.x), begin);
}

void launch_sums(Sums& sums, int64_t blocks) {
  launch({.grid = blocks_for(blocks, 1), .block = kThreads, .stream = compute_stream()},
         add_all_kernel, sums);
  sums.count = 0;
}

}  // namespace

void add_all(const std::vector<InPlaceSum>& all) {
  Sums sums;
  int64_t blocks = 0;
  for (const InPlaceSum& sum : all) {
    const int64_t n = sum.y.numel(), more = (n + kPerBlock - 1) / kPerBlock;
    if (n == 0) continue;
    if (sums.count == kMostSums || blocks + more > INT32_MAX) {
      launch_sums(sums, blocks);
      blocks = 0;
    }
    Tensor y = sum.y;
    const bool half = sum.x.dtype() == DType::bf16;
    const void* x = half ? static_cast<const void*>(sum.x.data<bf16>()) : sum.x.data<float>();
    sums.of[sums.count++] = {y.data<float>(), x, n, static_cast<int>(blocks), half};
    blocks += more;
  }
  if (sums.count > 0) launch_sums(sums, blocks);
}

}  // namespace passband::cuda
