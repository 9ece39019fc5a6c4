// Matrix products on the CPU: oneDNN for f32 and bf16, our own for f32 ones of many rows, on the
// matrix unit where there is one, Eigen for f64.
#include <Eigen/Core>
#include <cstring>

#include "tensor/cpu/loops.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/tall_product.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband::cpu {
namespace {

using dnnl::memory;

// A (batch, rows, columns) operand; the transposed one is the same memory read by columns.
memory::desc matrix(int64_t batch, int64_t rows, int64_t columns, bool transposed, DType dtype) {
  const int64_t row = transposed ? 1 : columns, column = transposed ? rows : 1;
  if (batch == 1) return {{rows, columns}, onednn::type_of(dtype), memory::dims{row, column}};
  return {
      {batch, rows, columns}, onednn::type_of(dtype), memory::dims{rows * columns, row, column}};
}

memory::desc any_layout(const memory::desc& layout) {
  return {layout.dims(), layout.data_type(), memory::format_tag::any};
}

onednn::Plan make_plan(const ProductShape& s, DType dtype, DType result, bool bias, bool residual) {
  onednn::Plan plan;
  plan.source = matrix(s.batch, s.m, s.k, s.transpose_a, dtype);
  const memory::desc own = matrix(s.batch, s.k, s.n, s.transpose_b, dtype);
  const memory::desc asked = s.weight_b ? any_layout(own) : own;
  plan.destination = matrix(s.batch, s.m, s.n, false, result);
  if (bias)
    plan.bias = s.batch == 1
                    ? memory::desc({1, s.n}, onednn::type_of(result), memory::format_tag::ab)
                    : memory::desc({1, 1, s.n}, onednn::type_of(result), memory::format_tag::abc);
  dnnl::primitive_attr attributes = onednn::attributes();
  if (residual) {
    dnnl::post_ops addition;
    addition.append_binary(dnnl::algorithm::binary_add, plan.destination);
    attributes.set_post_ops(addition);
  }
  using Matmul = dnnl::matmul;
  const Matmul::desc description =
      bias ? Matmul::desc(plan.source, asked, plan.bias, plan.destination)
           : Matmul::desc(plan.source, asked, plan.destination);
  const Matmul::primitive_desc made(description, attributes, onednn::engine());
  plan.primitive = Matmul(made);
  plan.weights = {own, made.weights_desc()};
  plan.scratchpad = made.scratchpad_desc();
  return plan;
}

void matmul_onednn(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& e,
                   const ProductShape& s) {
  const bool bias = e.bias.defined(), residual = e.residual.defined();
  onednn::Key key('m');
  for (const int64_t number : {s.batch, s.m, s.n, s.k}) key.add(number);
  for (const bool flag : {s.transpose_a, s.transpose_b, s.weight_b, bias, residual}) key.add(flag);
  key.add(static_cast<int64_t>(a.dtype())).add(static_cast<int64_t>(c.dtype()));
  const onednn::PlanRef plan = onednn::plan_for(
      "matmul", key, [&] { return make_plan(s, a.dtype(), c.dtype(), bias, residual); });
  const Tensor right = onednn::packed(plan->weights, b);
  constexpr int kResidual = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;
  onednn::execute(*plan, {{DNNL_ARG_SRC, plan->source, a.raw()},
                          {DNNL_ARG_WEIGHTS, plan->weights.to, right.raw()},
                          {DNNL_ARG_BIAS, plan->bias, e.bias.raw()},
                          {kResidual, plan->destination, e.residual.raw()},
                          {DNNL_ARG_DST, plan->destination, c.raw()}});
}

// Weight gradients sum over many rows. oneDNN 2.6 cuts such a product badly between threads; as two
// products of half the rows, summed afterwards, f32 runs up to 1.2 times as fast. Always two: the
// bits do not depend on the threads.
bool long_sum(const ProductShape& s, DType dtype) {
  return dtype == DType::f32 && s.batch == 1 && s.transpose_a && !s.transpose_b && s.k % 2 == 0 &&
         s.k >= 4096;
}

void matmul_halves(const Tensor& c, const Tensor& a, const Tensor& b, ProductShape s) {
  s.batch = 2;
  s.k /= 2;
  const Tensor halves = Tensor::empty({2, s.m, s.n}, DType::f32);
  matmul_onednn(halves, a, b, {}, s);
  const float *first = halves.data<float>(), *second = first + s.m * s.n;
  map_elements(
      s.m * s.n, [](float x, float y) { return x + y; }, c.data<float>(), first, second);
}

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
bool matmul_own(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& e,
                const ProductShape& s) {
  const auto floats = [](const Tensor& x) { return x.defined() ? x.data<float>() : nullptr; };
  float *pc = floats(c), *pa = floats(a), *pb = floats(b);
  const TallProduct rows{s.m, s.n, s.k, s.transpose_b, floats(e.bias), floats(e.residual)};
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
void matmul_widened(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  const auto wide = [](const Tensor& x) { return x.defined() ? cast(x, DType::f32) : Tensor{}; };
  const Tensor result = Tensor::empty(c.shape(), DType::f32);
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
void matmul_f64(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& e,
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
void fill_with_epilogue(const Tensor& c, const Epilogue& e) {
  std::memset(c.raw(), 0, static_cast<size_t>(c.numel() * size_of(c.dtype())));
  if (e.bias.defined()) copy_(c, expand(e.bias, c.shape()));
  if (e.residual.defined()) add_(c, e.residual);
}

}  // namespace

void matmul_forward(const Tensor& c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  const bool bare = !e.bias.defined() && !e.residual.defined();
  if (c.numel() == 0) return;
  if (s.k == 0) fill_with_epilogue(c, e);
  else if (a.dtype() == DType::f64) matmul_f64(c, a, b, e, s);
  else if (a.dtype() == DType::bf16 && !onednn::has_bf16()) matmul_widened(c, a, b, e, s);
  else if (a.dtype() == DType::f32 && matmul_own(c, a, b, e, s)) return;
  else if (bare && long_sum(s, a.dtype())) matmul_halves(c, a, b, s);
  else matmul_onednn(c, a, b, e, s);
}

}  // namespace passband::cpu
