// The lambda layer on the GPU in the published order, as dense products over all pairs of
// positions: the position lambdas are (values) * (embedding of every pair)^T, one matrix product of
// all images, and what is left goes element by element.
//
// For shapes with h (k + v) >= k v, few channels for many heads, where scores first saves nothing.
// Operations: n^2 u k v per image, all pairs, in the window or not: so it is for small maps.
// Bound. The product (batch v, n k, u n) has n k u n / (n k + u n) operations per byte, some 60
// from 64 positions on: memory on small maps, the tensor cores from 256 positions on. Around it the
// lambdas (batch v, n k) are written and read once, and the embedding of all pairs, n^2 k u
// numbers, is gathered once per call.
#include "tensor/cuda/indexing.cuh"
#include "tensor/ops/attention/lambda_tiles.cuh"
#include "tensor/ops/matmul_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

// One thread for each of `count` numbers of a result; kernels return for those past the last.
Launch elements(int64_t count) {
  return {.grid = blocks_for(count, kThreads), .block = kThreads, .stream = compute_stream()};
}
__device__ __forceinline__ int64_t element() {
  return int64_t{blockIdx.x} * kThreads + threadIdx.x;
}

__device__ __forceinline__ Context context_of(const LambdaGrid& s, int position) {
  return {position, position / s.width, position % s.width};
}

// dense (n k, u n): the embedding of every pair, zero beyond the window.
template <class T>
__global__ void dense_kernel(T* __restrict__ dense, const T* __restrict__ table, LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= n * s.depth * s.intra * n) return;
  const int m = static_cast<int>(i % n), u = static_cast<int>(i / n % s.intra);
  const int k = static_cast<int>(i / n / s.intra % s.depth);
  const int row = table_row(s, static_cast<int>(i / n / s.intra / s.depth), context_of(s, m));
  dense[i] = row < 0 ? T(0.0f) : table[(int64_t{u} * s.table_size + row) * s.depth_pad + k];
}

// rows (batch v, u n) of the values (batch, n, u, v).
template <class T> __global__ void value_rows_kernel(T* __restrict__ rows,
                                                     const T* __restrict__ values, LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= s.batch * n * s.intra * s.value) return;
  const int64_t m = i % n, u = i / n % s.intra, v = i / n / s.intra % s.value;
  const int64_t b = i / n / s.intra / s.value;
  rows[i] = values[((b * n + m) * s.intra + u) * s.value + v];
}

// y = q (lambda + content), with the position lambdas (batch v, n k).
template <class T> __global__ void apply_kernel(T* __restrict__ y, LambdaInputs<T> in,
                                                const T* __restrict__ lambdas, LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= s.batch * n * s.heads * s.value) return;
  const int64_t v = i % s.value, row = i / s.value, query = row / s.heads % n;
  const int64_t b = row / s.heads / n;
  const T* lambda = lambdas + ((b * s.value + v) * n + query) * s.depth;
  float sum = 0.0f;
  for (int k = 0; k < s.depth; ++k)
    sum += static_cast<float>(in.q[row * s.depth + k]) *
           (static_cast<float>(lambda[k]) +
            static_cast<float>(in.content[(b * s.depth + k) * s.value + v]));
  y[i] = T(sum);
}

// dq = (lambda + content) dy.
template <class T> __global__ void query_gradients_kernel(T* __restrict__ dq, LambdaInputs<T> in,
                                                          const T* __restrict__ lambdas,
                                                          LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= s.batch * n * s.heads * s.depth) return;
  const int64_t k = i % s.depth, row = i / s.depth, query = row / s.heads % n;
  const int64_t b = row / s.heads / n;
  float sum = 0.0f;
  for (int64_t v = 0; v < s.value; ++v)
    sum += static_cast<float>(in.dy[row * s.value + v]) *
           (static_cast<float>(lambdas[((b * s.value + v) * n + query) * s.depth + k]) +
            static_cast<float>(in.content[(b * s.depth + k) * s.value + v]));
  dq[i] = T(sum);
}

// g (batch v, n k) = sum over heads of q dy^T: the gradient of the lambdas.
template <class T>
__global__ void lambda_gradients_kernel(T* __restrict__ g, LambdaInputs<T> in, LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= s.batch * s.value * n * s.depth) return;
  const int64_t k = i % s.depth, query = i / s.depth % n, v = i / s.depth / n % s.value;
  const int64_t row = (i / s.depth / n / s.value * n + query) * s.heads;
  float sum = 0.0f;
  for (int h = 0; h < s.heads; ++h)
    sum += static_cast<float>(in.q[(row + h) * s.depth + k]) *
           static_cast<float>(in.dy[(row + h) * s.value + v]);
  g[i] = T(sum);
}

// dcontent (batch, k, v) = sum of q dy^T over queries and heads: a warp for each.
template <class T> __global__ void content_gradients_kernel(float* __restrict__ dcontent,
                                                            LambdaInputs<T> in, LambdaGrid s) {
  const int64_t i = element() / 32;
  if (i >= int64_t{s.batch} * s.depth * s.value) return;  // whole warps return together
  const int64_t v = i % s.value, k = i / s.value % s.depth;
  const int64_t rows = int64_t{s.positions()} * s.heads, first = i / s.value / s.depth * rows;
  float sum = 0.0f;
  for (int64_t row = first + threadIdx.x % 32; row < first + rows; row += 32)
    sum +=
        static_cast<float>(in.q[row * s.depth + k]) * static_cast<float>(in.dy[row * s.value + v]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) dcontent[i] = sum;
}

// dvalues from rows (batch v, u n) of the position part, and the content part.
template <class T> __global__ void value_gradients_kernel(T* __restrict__ dvalues,
                                                          const T* __restrict__ rows,
                                                          const float* __restrict__ dcontent,
                                                          LambdaInputs<T> in, LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= s.batch * n * s.intra * s.value) return;
  const int64_t v = i % s.value, at = i / s.value, u = at % s.intra, m = at / s.intra % n;
  const int64_t b = at / s.intra / n;
  float sum = static_cast<float>(rows[((b * s.value + v) * s.intra + u) * n + m]);
  for (int k = 0; k < s.depth; ++k)
    sum += in.keys[at * s.depth + k] * dcontent[(b * s.depth + k) * s.value + v];
  dvalues[i] = T(sum);
}

// dtable (table size, k, u) from the gradient (n k, u n) of the dense embedding.
template <class T, class B> __global__ void table_gradient_kernel(B* __restrict__ dtable,
                                                                  const T* __restrict__ ddense,
                                                                  LambdaGrid s) {
  const int64_t i = element(), n = s.positions();
  if (i >= int64_t{s.table_size} * s.depth * s.intra) return;
  const int64_t u = i % s.intra, k = i / s.intra % s.depth;
  const int entry = static_cast<int>(i / s.intra / s.depth);
  const int dy = entry / s.table_width - s.radius_y, dx = entry % s.table_width - s.radius_x;
  double sum = 0;
  for (int y = max(0, -dy); y < min(s.height, s.height - dy); ++y)
    for (int x = max(0, -dx); x < min(s.width, s.width - dx); ++x) {
      const int64_t query = y * s.width + x, m = (y + dy) * s.width + x + dx;
      sum += static_cast<float>(ddense[((query * s.depth + k) * s.intra + u) * n + m]);
    }
  dtable[i] = B(static_cast<float>(sum));
}

// The operands of the dense products.
template <class T> struct Dense {
  Tensor embedding, values;  // (n k, u n), (batch v, u n)

  Dense(const LambdaInputs<T>& in, const LambdaGrid& s, const Tensor& like)
      : embedding(
            Tensor::empty({int64_t{s.positions()} * s.depth, int64_t{s.intra} * s.positions()},
                          like.dtype(), like.device())),
        values(Tensor::empty({int64_t{s.batch} * s.value, int64_t{s.intra} * s.positions()},
                             like.dtype(), like.device())) {
    launch(elements(embedding.numel()), dense_kernel<T>, embedding.data<T>(), in.table, s);
    launch(elements(values.numel()), value_rows_kernel<T>, values.data<T>(), in.values, s);
  }
};

struct Transposed {
  bool a = false, b = false;
};

// op(a) op(b) of two matrices.
Tensor product(const Tensor& a, const Tensor& b, Transposed transposed) {
  const ProductShape shape{.m = a.size(transposed.a ? 1 : 0),
                           .n = b.size(transposed.b ? 0 : 1),
                           .k = a.size(transposed.a ? 0 : 1),
                           .transpose_a = transposed.a,
                           .transpose_b = transposed.b};
  Tensor c = Tensor::empty({1, shape.m, shape.n}, a.dtype(), a.device());
  matmul_forward(c, a, b, {}, shape);
  return c.viewed_as({shape.m, shape.n});
}

}  // namespace

template <class T>
void lambda_dense_forward(Tensor y, const LambdaInputs<T>& in, const LambdaGrid& s) {
  const Dense<T> dense(in, s, y);
  const Tensor lambdas = product(dense.values, dense.embedding, {.b = true});  // (batch v, n k)
  launch(elements(y.numel()), apply_kernel<T>, y.data<T>(), in, lambdas.data<T>(), s);
}

template <class T> void lambda_dense_backward(LambdaTensors dx, Tensor dcontent,
                                              const LambdaInputs<T>& in, const LambdaGrid& s) {
  const Dense<T> dense(in, s, dx.q);
  Tensor lambdas = product(dense.values, dense.embedding, {.b = true});
  launch(elements(dx.q.numel()), query_gradients_kernel<T>, dx.q.data<T>(), in, lambdas.data<T>(),
         s);
  Tensor& g = lambdas;  // in the same memory: the lambdas have been read
  launch(elements(g.numel()), lambda_gradients_kernel<T>, g.data<T>(), in, s);
  launch(elements(32 * dcontent.numel()), content_gradients_kernel<T>, dcontent.data<float>(), in,
         s);
  const Tensor rows = product(g, dense.embedding, {});  // (batch v, u n)
  launch(elements(dx.values.numel()), value_gradients_kernel<T>, dx.values.data<T>(),
         rows.data<T>(), dcontent.data<float>(), in, s);
  const Tensor ddense = product(g, dense.values, {.a = true});  // (n k, u n)
  dispatch_f32_bf16(dx.embedding.dtype(), "lambda_layer", [&]<class B>() {
    launch(elements(dx.embedding.numel()), table_gradient_kernel<T, B>, dx.embedding.data<B>(),
           ddense.data<T>(), s);
  });
}

template void lambda_dense_forward<float>(Tensor, const LambdaInputs<float>&, const LambdaGrid&);
template void lambda_dense_forward<bf16>(Tensor, const LambdaInputs<bf16>&, const LambdaGrid&);
template void lambda_dense_backward<float>(LambdaTensors, Tensor, const LambdaInputs<float>&,
                                           const LambdaGrid&);
template void lambda_dense_backward<bf16>(LambdaTensors, Tensor, const LambdaInputs<bf16>&,
                                          const LambdaGrid&);

}  // namespace passband::cuda
