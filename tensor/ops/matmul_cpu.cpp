// Matrix products on the CPU: f32 ones of many rows have kernels of their own, on the matrix unit
// where there is one; bf16 is oneDNN's where that has the machine's own bf16 products.
#include <cstring>

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

// Products of many rows are bound by memory as much as by arithmetic; where what they need besides
// stays in the second level of cache, it pays to fetch ahead instead of packing.
bool is_tall(const ProductShape& s) {
  return s.batch == 1 && !s.transpose_a && s.m >= 512 && s.n % tall_product_columns() == 0 &&
         s.k >= 16 && s.k <= TallProduct::kMostDepth && s.n * s.k <= TallProduct::kMostWeights;
}

bool is_tall_transposed(const ProductShape& s) {
  return s.batch == 1 && s.transpose_a && !s.transpose_b && s.k >= 4096 && s.m >= 16 &&
         s.n % tall_product_columns() == 0 && s.m * s.n <= TallProduct::kMostWeights;
}

// An f32 product of many rows or of a sum over many; false if it is another.
bool matmul_tall(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                 const ProductShape& s) {
  float* pc = c.data<float>();
  const float *pa = a.data<float>(), *pb = b.data<float>();
  const TallProduct rows{
      s.m, s.n, s.k, s.transpose_b, e.bias.data_or_null<float>(), e.residual.data_or_null<float>()};
  const bool bare = !e.bias.defined() && !e.residual.defined();
  if (s.batch == 1 && !s.transpose_a && split_product_pays(s.m, s.n, s.k) &&
      split_product(rows, pc, pa, pb))
    return true;
  if (s.batch == 1 && s.transpose_a && !s.transpose_b && bare &&
      split_transposed_product_pays(s.m, s.n, s.k) &&
      split_transposed_product(s.m, s.n, s.k, pc, pa, pb))
    return true;
  if (is_tall(s)) {
    tall_product(rows, pc, pa, pb);
    return true;
  }
  if (bare && is_tall_transposed(s)) {
    tall_transposed_product(s.m, s.n, s.k, pc, pa, pb);
    return true;
  }
  return false;
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

}  // namespace

void matmul_forward(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  if (c.numel() == 0) return;
  if (s.k == 0) return fill_with_epilogue(c, e);
  if (a.dtype() == DType::bf16 && onednn_has_bf16()) return matmul_onednn(c, a, b, e, s);
  if (a.dtype() == DType::f32 && matmul_tall(c, a, b, e, s)) return;
  dispatch_floating(a.dtype(), "matmul", [&]<class T>() { multiply<T>(c, a, b, e, s); });
}

LEVEL_END
