// Matrix products on the CPU: oneDNN for f32 and bf16, our own for f32 ones of many rows, on the
// matrix unit where there is one, Eigen for f64.
#include <Eigen/Core>
#include <cstring>

#include "tensor/cpu/loops.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/matmul_onednn.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband::cpu {
namespace {

// Products of many rows are bound by memory as much as by arithmetic; where what they need besides
// stays in the second level of cache, oneDNN 2.6 takes 1.0 to 1.6 times as long as our own.
bool is_tall(const ProductShape& s) {
  return s.batch == 1 && !s.transpose_a && s.m >= 512 && s.n % tall_product_columns() == 0 &&
         s.k >= 16 && s.k <= TallProduct::kMostDepth && s.n * s.k <= TallProduct::kMostWeights;
}

bool is_tall_transposed(const ProductShape& s) {
  return s.batch == 1 && s.transpose_a && !s.transpose_b && s.k >= 4096 && s.m >= 16 &&
         s.n % tall_product_columns() == 0 && s.m * s.n <= TallProduct::kMostWeights;
}

// An f32 product of our own, where one suits; false if oneDNN is to make it.
bool matmul_own(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
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

// On CPUs without bf16 products: the same product of widened operands, rounded once.
void matmul_widened(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  const auto wide = [](const Tensor& x) { return x.defined() ? cast(x, DType::f32) : Tensor{}; };
  Tensor result = Tensor::empty(c.shape(), DType::f32);
  matmul_onednn(result, wide(a), wide(b), {wide(e.bias), wide(e.residual)}, s);
  copy_(c, result);
}

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
using ConstMatrix = Eigen::Map<const RowMajor, 0, Strides>;

ConstMatrix eigen_matrix(const double* data, int64_t rows, int64_t columns, bool transposed) {
  return {data, rows, columns, transposed ? Strides(1, rows) : Strides(columns, 1)};
}

// Bands of all results of the batch in parallel, cut across the longer side: Eigen packs the other
// operand anew for each, and the last stage of a network has few rows. Always the same bands: the
// bits do not depend on the threads.
void matmul_f64(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                const ProductShape& s) {
  constexpr int64_t kBand = 128;
  const bool by_rows = s.m >= s.n;
  const int64_t bands = (std::max(s.m, s.n) + kBand - 1) / kBand;
  const double *pa = a.data<double>(), *pb = b.data<double>();
  const double* bias = e.bias.defined() ? e.bias.data<double>() : nullptr;
  const double* residual = e.residual.defined() ? e.residual.data<double>() : nullptr;
  double* pc = c.data<double>();
  parallel_for(
      s.batch * bands, grain_for(kBand * std::min(s.m, s.n)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t batch = i / bands, first = i % bands * kBand;
          const int64_t row = by_rows ? first : 0,
                        rows = by_rows ? std::min(kBand, s.m - row) : s.m;
          const int64_t column = by_rows ? 0 : first,
                        columns = by_rows ? s.n : std::min(kBand, s.n - column);
          const ConstMatrix left = eigen_matrix(pa + batch * s.m * s.k, s.m, s.k, s.transpose_a);
          const ConstMatrix right = eigen_matrix(pb + batch * s.k * s.n, s.k, s.n, s.transpose_b);
          const int64_t corner = (batch * s.m + row) * s.n + column;
          Eigen::Map<RowMajor, 0, Eigen::OuterStride<>> result(pc + corner, rows, columns,
                                                               Eigen::OuterStride<>(s.n));
          result.noalias() = left.middleRows(row, rows) * right.middleCols(column, columns);
          if (bias)
            result.rowwise() += Eigen::Map<const Eigen::RowVectorXd>(bias + column, columns);
          if (residual)
            result += Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>(
                residual + corner, rows, columns, Eigen::OuterStride<>(s.n));
        }
      });
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
  if (s.k == 0) fill_with_epilogue(c, e);
  else if (a.dtype() == DType::f64) matmul_f64(c, a, b, e, s);
  else if (a.dtype() == DType::bf16 && !onednn::has_bf16()) matmul_widened(c, a, b, e, s);
  else if (a.dtype() == DType::f32 && matmul_own(c, a, b, e, s)) return;
  else matmul_onednn(c, a, b, e, s);
}

}  // namespace passband::cpu
