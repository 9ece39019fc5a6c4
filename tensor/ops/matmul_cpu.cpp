// Matrix products on the CPU: one blocked product for all types; sums over many rows and what a
// matrix unit multiplies have kernels of their own.
#include <cstring>

#include "tensor/core/batch_parts.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/onednn_engine.h"
#include "tensor/cpu/product.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/matmul_onednn.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

LEVEL_BEGIN
namespace {

bool only_sums_rows(const Epilogue& e, const ProductShape& s) {
  return s.transpose_a && !s.transpose_b && !e.bias.defined() && !e.residual.defined();
}

// A bf16 sum over many rows; false if it is another product.
bool matmul_special_bf16(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                         const ProductShape& s) {
  if (s.batch > 1 || !only_sums_rows(e, s) || !tall_transposed_product_pays(s.m, s.n, s.k))
    return false;
  tall_transposed_product_bf16(s.m, s.n, s.k, c.data<bf16>(), a.data<bf16>(), b.data<bf16>());
  return true;
}

// An f32 product on the matrix unit, or a sum over many rows; false if it is another.
bool matmul_special(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  if (s.batch > 1) return false;
  float* pc = c.data<float>();
  const float *pa = a.data<float>(), *pb = b.data<float>();
  if (!s.transpose_a)
    return split_product_pays(s.m, s.n, s.k) &&
           split_product({s.m, s.n, s.k, s.transpose_b, e.bias.data_or_null<float>(),
                          e.residual.data_or_null<float>()},
                         pc, pa, pb);
  if (!only_sums_rows(e, s)) return false;
  if (split_transposed_product_pays(s.m, s.n, s.k) &&
      split_transposed_product(s.m, s.n, s.k, pc, pa, pb))
    return true;
  if (!tall_transposed_product_pays(s.m, s.n, s.k)) return false;
  tall_transposed_product(s.m, s.n, s.k, pc, pa, pb);
  return true;
}

template <class T> void multiply(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                                 const ProductShape& s) {
  product(Product<T>{.batch = s.batch,
                     .m = s.m,
                     .n = s.n,
                     .k = s.k,
                     .transpose_a = s.transpose_a,
                     .transpose_b = s.transpose_b,
                     .a = a.data<T>(),
                     .b = b.data<T>(),
                     .c = c.data<T>(),
                     .bias = e.bias.data_or_null<T>(),
                     .residual = e.residual.data_or_null<T>()});
}

// An empty sum is zero: what is added alone.
void fill_with_epilogue(Tensor c, const Epilogue& e) {
  std::memset(c.raw(), 0, static_cast<size_t>(c.numel() * size_of(c.dtype())));
  if (e.bias.defined()) copy_(c, expand(e.bias, c.shape()));
  if (e.residual.defined()) add_(c, e.residual);
}

// Of few rows the order of a sum depends on how many there are: where that must not be, parts of a
// batch are multiplied by themselves.
bool cut_for_few_rows(const ProductShape& s) {
  constexpr int64_t kManyRows = 2048;
  const BatchParts& parts = batch_parts();
  return s.batch == 1 && !s.transpose_a && parts.cut(s.m) && s.m / parts.count < kManyRows;
}

void multiply_parts(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  const BatchParts parts = batch_parts();
  ProductShape own = s;
  own.m = s.m / parts.count;
  const auto rows = [&](const Tensor& x, int64_t width, int64_t part) {
    return x.defined() ? x.view(part * own.m * width, {own.m, width}) : x;
  };
  for (int64_t i = 0; i < parts.count; ++i) {
    const BatchPartsGuard whole({});
    matmul_forward(rows(c, s.n, i), rows(a, s.k, i), b, {e.bias, rows(e.residual, s.n, i)}, own);
  }
}

}  // namespace

void matmul_forward(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  if (c.numel() == 0) return;
  if (cut_for_few_rows(s)) return multiply_parts(c, a, b, e, s);
  if (s.k == 0) return fill_with_epilogue(c, e);
  if (a.dtype() == DType::bf16 && bf16_by_onednn()) return matmul_onednn(c, a, b, e, s);
  if (a.dtype() == DType::bf16 && matmul_special_bf16(c, a, b, e, s)) return;
  if (a.dtype() == DType::f32 && matmul_special(c, a, b, e, s)) return;
  dispatch_floating(a.dtype(), "matmul", [&]<class T>() { multiply<T>(c, a, b, e, s); });
}

LEVEL_END
