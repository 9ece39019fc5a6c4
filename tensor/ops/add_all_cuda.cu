// y += x of many small tensors: the gradients of a model's parameters, which would take a launch
// each, and another where they come in parts.
//
// Bound: launches. ResNet-50 has 161 such sums; at 2 to 3 us one by one they took 390 us of a step
// of ViT-Ti and 660 of AlterNet-50 (H200, batch 512), where their 12 bytes an element are worth 16
// and 80. Parts are read once, 4 bytes an element of each, from the second-level cache if they are
// added soon after they were made (tensor/autograd/engine.cpp). Some results have few elements and
// hundreds of parts, others millions of elements and two parts; so as many threads share the
// parts of an element as there are eights of them. They are added in f64, in a fixed order.
#include <algorithm>

#include "tensor/core/kernel_source.h"
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/add_all_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256, kPerThread = 8, kPerBlock = kThreads * kPerThread;
constexpr int kMostSums = 120;  // of a launch, whose arguments have 4 KiB
// Of parts: neighbours that a thread has, and how many parts are under way together.
constexpr int kPack = 4, kBatch = 8;

struct Sum {
  float* y;
  const void* x;
  int n;
  int first_block;
  int parts;   // 0: x is as y
  int slices;  // of the parts, a thread each; 0: x is bf16 and no parts
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

// Elements that a block adds the parts of.
constexpr int per_block(int slices) { return kThreads / slices * kPack; }

// Threads stand in `slices` rows; each adds every slices-th part of its neighbours.
__device__ __forceinline__ void add_parts(const Sum& sum, int block) {
  SHARED(double, handed, [kThreads * kPack]);  // [slices][lanes * kPack]
  const int width = per_block(sum.slices), lanes = width / kPack;
  const int slice = threadIdx.x / lanes, lane = threadIdx.x % lanes;
  const int begin = block * width, mine = begin + lane * kPack;
  const float* const x = static_cast<const float*>(sum.x);
  const bool packed = sum.n % kPack == 0 && is_pack_aligned<kPack>(x);
  double total[kPack] = {};
  for (int first = slice; first < sum.parts && mine < sum.n; first += kBatch * sum.slices) {
    Pack<float, kPack> packs[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      packs[i] = {};
      const int part = first + i * sum.slices;
      if (part >= sum.parts) continue;
      const float* const from = x + int64_t{part} * sum.n + mine;
      if (packed) packs[i] = load_pack<kPack>(from);
      else
        for (int k = 0; k < kPack && mine + k < sum.n; ++k) packs[i][k] = from[k];
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
#pragma unroll
      for (int k = 0; k < kPack; ++k) total[k] += static_cast<double>(packs[i][k]);
  }
#pragma unroll
  for (int k = 0; k < kPack; ++k) handed[slice * width + lane * kPack + k] = total[k];
  __syncthreads();
  for (int i = threadIdx.x; i < width && begin + i < sum.n; i += kThreads) {
    double of_all = 0;
    for (int s = 0; s < sum.slices; ++s) of_all += handed[s * width + i];
    sum.y[begin + i] += static_cast<float>(of_all);
  }
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
  if (sum.parts > 0) return add_parts(sum, block - sum.first_block);
  const int64_t begin = int64_t{block - sum.first_block} * kPerBlock + threadIdx.x;
  if (sum.slices == 0) add_rows(sum, static_cast<const bf16*>(sum.x), begin);
  else add_rows(sum, static_cast<const float*>(sum.x), begin);
}

void launch_sums(Sums& sums, int64_t blocks) {
  launch({.grid = blocks_for(blocks, 1), .block = kThreads, .stream = compute_stream()},
         add_all_kernel, sums);
  sums.count = 0;
}

// Of f32, of parts in f32, or of bf16.
Sum sum_of(Tensor y, const Tensor& x) {
  constexpr int kMostSlices = 32;
  CHECK(y.numel() <= INT32_MAX / 2, "add_all_: ", y, " has more elements than a kernel counts");
  const bool half = x.dtype() == DType::bf16;
  Sum sum{y.data<float>(), x.raw(), static_cast<int>(y.numel()), 0, 0, 0};
  sum.slices = half ? 0 : 1;
  if (x.shape() == y.shape()) return sum;
  sum.parts = static_cast<int>(x.size(0));
  while (sum.slices < kMostSlices && sum.parts > kBatch * sum.slices) sum.slices *= 2;
  return sum;
}

}  // namespace

void add_all(const std::vector<InPlaceSum>& all) {
  Sums sums;
  int64_t blocks = 0;
  for (const auto& [y, x] : all) {
    if (x.numel() == 0) continue;
    Sum sum = sum_of(y, x);
    const int64_t width = sum.parts > 0 ? per_block(sum.slices) : kPerBlock,
                  more = (sum.n + width - 1) / width;
    if (sums.count == kMostSums || blocks + more > INT32_MAX) {
      launch_sums(sums, blocks);
      blocks = 0;
    }
    sum.first_block = static_cast<int>(blocks);
    sums.of[sums.count++] = sum;
    blocks += more;
  }
  if (sums.count > 0) launch_sums(sums, blocks);
}

}  // namespace passband::cuda
