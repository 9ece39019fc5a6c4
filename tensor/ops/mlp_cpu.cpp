// The MLP on the CPU: on the matrix unit the GELU takes the sums as they leave it; else the product of its backend,
// then the GELU where the result lies.
#include "tensor/cpu/split_rows.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/mlp_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cpu {
namespace {

using Run = float[split::kSide];

bool on_matrix_unit(const Tensor& x, const ProductShape& s) {
  return x.dtype() == DType::f32 && split_product_pays(s.m, s.n, s.k);
}

void write(float* to, const Run& values, int64_t count, bool past_caches) {
  for_vectors<float>(0, count, [&](int64_t i, int lanes) {
    if (past_caches)
      stream(to + i, load(values + i));
    else
      store(to + i, load(values + i), lanes);
  });
}

// y = gelu(sums + bias) and, where defined, h = sums + bias. Nobody reads h before the backward pass.
template <class Gelu>
bool forward_on_matrix_unit(const Tensor& y, const Tensor& h, const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const ProductShape& s, const Gelu& gelu) {
  const float* offset = bias.defined() ? bias.data<float>() : nullptr;
  float *py = y.data<float>(), *ph = h.defined() ? h.data<float>() : nullptr;
  const bool past_caches = may_stream(py, s.m, s.n) && (!ph || may_stream(ph, s.m, s.n));
  const auto finish = [&](int64_t row, int64_t column, const float* sums, int64_t count) {
    alignas(kVectorBytes) Run before = {}, active;
    for (int64_t i = 0; i < count; ++i) before[i] = sums[i] + (offset ? offset[column + i] : 0.0f);
#pragma omp simd
    for (int i = 0; i < split::kSide; ++i) active[i] = gelu(before[i]);
    write(py + row * s.n + column, active, count, past_caches);
    if (ph) write(ph + row * s.n + column, before, count, past_caches);
  };
  return split::multiply_rows({s.m, s.n, s.k, s.transpose_b}, x.data<float>(), weight.data<float>(), finish);
}

template <class Slope>
bool backward_on_matrix_unit(const Tensor& dh, const Tensor& dy, const Tensor& weight, const Tensor& h,
                             const ProductShape& s, const Slope& slope) {
  float* to = dh.data<float>();
  const float* before = h.data<float>();
  const bool past_caches = may_stream(to, s.m, s.n);
  const auto finish = [&](int64_t row, int64_t column, const float* sums, int64_t count) {
    const int64_t at = row * s.n + column;
    alignas(kVectorBytes) Run x = {}, gradient;
    std::copy_n(before + at, count, x);
#pragma omp simd
    for (int i = 0; i < split::kSide; ++i) gradient[i] = slope(x[i], sums[i]);
    write(to + at, gradient, count, past_caches);
  };
  return split::multiply_rows({s.m, s.n, s.k, s.transpose_b, before}, dy.data<float>(), weight.data<float>(), finish);
}

}  // namespace

void linear_gelu_forward(const Tensor& y, const Tensor& h, const Tensor& x, const Tensor& weight, const Tensor& bias,
                         GeluForm form) {
  const ProductShape s = linear_shape(x, weight);
  with_gelu(form, [&](auto gelu, auto) {
    if (on_matrix_unit(x, s) && forward_on_matrix_unit(y, h, x, weight, bias, s, gelu)) return;
    const Tensor& sums = h.defined() ? h : y;
    matmul_forward(sums, x, weight, {.bias = bias}, s);
    map(y, sums, gelu);
  });
}

void linear_gelu_backward(const Tensor& dh, const Tensor& dbias, const Tensor& dy, const Tensor& weight,
                          const Tensor& h, GeluForm form) {
  const ProductShape s = linear_gradient_shape(dy, weight);
  with_gelu(form, [&](auto, auto slope) {
    if (on_matrix_unit(dy, s) && backward_on_matrix_unit(dh, dy, weight, h, s, slope)) return;
    matmul_forward(dh, dy, weight, {}, s);
    zip(dh, h, dh, slope);
  });
  if (dbias.defined()) sum(dbias, dh, {1, dh.size(0), dh.size(1)}, 1.0);
}

}  // namespace passband::cpu
