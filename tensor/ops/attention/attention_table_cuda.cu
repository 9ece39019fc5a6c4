// The gradient of attention's table of relative positions: each entry's is the sum of dS over the
// pairs of tokens that lie so, over windows and over the heads that share the column.
//
// The backward kernels leave dlogits (chunks, heads, tokens, tokens), some megabytes that are still
// in the cache. Windows of few tokens have few entries (49 for 4 x 4), too few blocks for a GPU to
// go through all chunks: so chunks are first added to fewer, by threads that read neighbouring
// elements, and then a block per entry gathers its pairs. Both orders of addition are fixed.
#include "tensor/ops/attention/attention_backward.cuh"

namespace passband::cuda {
namespace {

constexpr int kTableThreads = 128;
// Elements that the first step leaves, if it can: two for each thread of 132 multiprocessors.
constexpr int64_t kTableElements = int64_t{132} * 2 * kTableThreads;

// to (parts, elements) = sums of `step` rows of from (rows, elements).
__global__ void attention_add_chunks_kernel(float* __restrict__ to, const float* __restrict__ from,
                                            int rows, int step, int elements) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= elements) return;
  const int first = static_cast<int>(blockIdx.y) * step;
  const float* at = from + int64_t{first} * elements + i;
  double sum = 0;
#pragma unroll 8
  for (int row = 0; row < min(step, rows - first); ++row) sum += at[int64_t{row} * elements];
  to[int64_t{blockIdx.y} * elements + i] = static_cast<float>(sum);
}

// A block for each entry and column adds dlogits (chunks, heads, tokens, tokens) over the pairs of
// the entry, the chunks and the heads of the column.
template <class B>
__global__ void attention_table_gradient_kernel(B* __restrict__ dbias,
                                                const float* __restrict__ dlogits, int chunks,
                                                AttentionLayout s) {
  const int entry = static_cast<int>(blockIdx.x) / s.table_columns;
  const int column = static_cast<int>(blockIdx.x) % s.table_columns, w = s.window_width;
  const int down = entry / s.side() - (w - 1), right = entry % s.side() - (w - 1);
  const int rows = w - abs(down), columns = w - abs(right);
  const int heads = s.table_columns == 1 ? s.heads : 1;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < int64_t{chunks} * heads * rows * columns; i += blockDim.x) {
    const int pair = static_cast<int>(i % (rows * columns));
    const int r = pair / columns + max(0, -down), c = pair % columns + max(0, -right);
    const int64_t part = i / (rows * columns);
    const int64_t matrix = part / heads * s.heads + column + part % heads;
    sum += dlogits[(matrix * s.tokens + r * w + c) * s.tokens + (r + down) * w + c + right];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) dbias[blockIdx.x] = B(static_cast<float>(sum));
}

// dlogits with fewer chunks.
Tensor add_chunks(const Tensor& dlogits) {
  const int64_t chunks = dlogits.size(0), elements = dlogits.numel() / chunks;
  const int64_t wanted = std::max<int64_t>(kTableElements / elements, 1);
  const int64_t step = (chunks + wanted - 1) / wanted, parts = (chunks + step - 1) / step;
  if (step == 1) return dlogits;
  Tensor sums = Tensor::empty(dlogits.shape().with(0, parts), DType::f32, dlogits.device());
  launch({.grid = {static_cast<unsigned>((elements + kTableThreads - 1) / kTableThreads),
                   static_cast<unsigned>(parts)},
          .block = kTableThreads,
          .stream = compute_stream()},
         attention_add_chunks_kernel, sums.data<float>(), dlogits.data<float>(),
         static_cast<int>(chunks), static_cast<int>(step), static_cast<int>(elements));
  return sums;
}

}  // namespace

void attention_table_gradient(Tensor dbias, Tensor dlogits, const AttentionLayout& s) {
  const Tensor sums = add_chunks(dlogits);
  dispatch_f32_bf16(dbias.dtype(), "attention", [&]<class B>() {
    launch({.grid = static_cast<unsigned>(dbias.numel()),
            .block = kTableThreads,
            .stream = compute_stream()},
           attention_table_gradient_kernel<B>, dbias.data<B>(), sums.data<float>(),
           static_cast<int>(sums.size(0)), s);
  });
}

}  // namespace passband::cuda
