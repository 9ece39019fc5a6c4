// The MLP on the CPU: on the matrix unit the GELU takes the sums as they leave it; else the product
// of its backend, then the GELU where the result lies.
#include "tensor/core/batch_parts.h"
#include "tensor/cpu/split_rows.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/mlp_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce_kernels.h"

LEVEL_BEGIN
namespace {

// y = gelu(h) and slope = gelu'(h); h may be one of them.
template <class F> void apply(Tensor y, Tensor slope, const Tensor& h, const F& gelu) {
  dispatch_floating(h.dtype(), "mlp", [&]<class T>() {
    T *py = y.data<T>(), *ps = slope.data<T>();
    const T* ph = h.data<T>();
    parallel_for(h.numel(), kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        Accumulate<T> active, by;
        gelu.value_and_slope(widen(ph[i]), active, by);
        store(py[i], active);
        store(ps[i], by);
      }
    });
  });
}

// --- on the matrix unit ---

using Run = float[split::kSide];

bool on_matrix_unit(const Tensor& x, const ProductShape& s) {
  return x.dtype() == DType::f32 && split_product_pays(s.m, s.n, s.k) && batch_parts().count == 1;
}

// Activations of a whole batch: what reads them next finds them in no cache.
void write(float* to, const Run& values, int64_t count, bool past_caches) {
  for_vectors<float>(0, count, [&](int64_t i, int lanes) {
    if (past_caches) stream(to + i, load(values + i));
    else store(to + i, load(values + i), lanes);
  });
}

template <class F> bool forward_on_matrix_unit(Tensor y, Tensor slope, const Tensor& x,
                                               const Tensor& weight, const Tensor& bias,
                                               const ProductShape& s, const F& gelu) {
  const float* offset = bias.defined() ? bias.data<float>() : nullptr;
  float *py = y.data<float>(), *ps = slope.defined() ? slope.data<float>() : nullptr;
  const bool past_caches = may_stream(py, s.m, s.n) && (!ps || may_stream(ps, s.m, s.n));
  const auto finish = [&](int64_t row, int64_t column, const float* sums, int64_t count) {
    alignas(kVectorBytes) Run before = {}, active, by;
    for (int64_t i = 0; i < count; ++i) before[i] = sums[i] + (offset ? offset[column + i] : 0.0f);
#pragma omp simd
    for (int i = 0; i < split::kSide; ++i) gelu.value_and_slope(before[i], active[i], by[i]);
    write(py + row * s.n + column, active, count, past_caches);
    if (ps) write(ps + row * s.n + column, by, count, past_caches);
  };
  return split::multiply_rows({s.m, s.n, s.k, s.transpose_b}, x.data<float>(), weight.data<float>(),
                              finish);
}

// dbias is summed over squares of rows first, which one thread has in its hands.
bool backward_on_matrix_unit(Tensor dh, Tensor dbias, const Tensor& dy, const Tensor& weight,
                             const Tensor& slope, const ProductShape& s) {
  Tensor totals = Tensor::empty({pieces_of(s.m, split::kSide), s.n});
  float *to = dh.data<float>(), *total = totals.data<float>();
  const float* by = slope.data<float>();
  const bool past_caches = may_stream(to, s.m, s.n);
  const auto finish = [&](int64_t row, int64_t column, const float* sums, int64_t count) {
    const int64_t at = row * s.n + column;
    const bool first = row % split::kSide == 0;
    float* square = total + row / split::kSide * s.n + column;
    alignas(kVectorBytes) Run gradient = {};
    for (int64_t i = 0; i < count; ++i) {
      gradient[i] = by[at + i] * sums[i];
      square[i] = first ? gradient[i] : square[i] + gradient[i];
    }
    write(to + at, gradient, count, past_caches);
  };
  const split::RowsProduct product{s.m, s.n, s.k, s.transpose_b, by};
  if (!split::multiply_rows(product, dy.data<float>(), weight.data<float>(), finish)) return false;
  if (dbias.defined()) sum(dbias, totals, {1, totals.size(0), s.n}, 1.0);
  return true;
}

}  // namespace

void linear_gelu_forward(Tensor y, Tensor slope, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, GeluForm form) {
  const ProductShape s = linear_shape(x, weight);
  with_gelu(form, [&](auto gelu, auto) {
    if (on_matrix_unit(x, s) && forward_on_matrix_unit(y, slope, x, weight, bias, s, gelu)) return;
    matmul_forward(y, x, weight, {.bias = bias}, s);
    if (slope.defined()) apply(y, slope, y, gelu);
    else map(y, y, gelu);
  });
}

void linear_gelu_backward(Tensor dh, Tensor dbias, Tensor*, const Tensor& dy, const Tensor& weight,
                          const Tensor& slope, GeluForm) {
  const ProductShape s = linear_gradient_shape(dy, weight);
  if (on_matrix_unit(dy, s) && backward_on_matrix_unit(dh, dbias, dy, weight, slope, s)) return;
  matmul_forward(dh, dy, weight, {}, s);
  dispatch_floating(dh.dtype(), "mlp", [&]<class T>() {
    map_elements(dh.numel(), fn::Mul{}, dh.data<T>(), dh.data<T>(), slope.data<T>());
  });
  if (dbias.defined()) sum(dbias, dh, {1, s.m, s.n}, 1.0);
}

LEVEL_END
