#include "nn/muon.h"

#include <algorithm>
#include <cmath>

#include "tensor/autograd/node.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;

// One number.
Tensor euclidean_norm(const Tensor& x) { return sqrt(sum(square(x))); }

Tensor newton_schulz_step(const Tensor& x) {
  const bool wide = x.size(0) <= x.size(1);
  const Tensor a = matmul(x, x, {.transpose_a = !wide, .transpose_b = wide});
  const Tensor b = mul(a, kB) + mul(matmul(a, a), kC);
  return mul(x, kA) + (wide ? matmul(b, x) : matmul(x, b));
}

}  // namespace

Tensor orthogonalised(const Tensor& matrix, int64_t steps, DType products) {
  CHECK(matrix.rank() == 2, "orthogonalised: takes a matrix, got ", matrix);
  CHECK(steps >= 1, "orthogonalised: takes a step or more, got ", steps);
  const DType dtype = products == DType::bf16 ? products : matrix.dtype();
  Tensor x = cast(mul(matrix, reciprocal(add(euclidean_norm(matrix), 1e-7))), dtype);
  for (int64_t i = 0; i < steps; ++i) x = newton_schulz_step(x);
  return cast(x, matrix.dtype());
}

void muon_step(Tensor w, Tensor m, const Tensor& g, const Tensor& rate,
               const MuonOptions& options) {
  CHECK(w.shape() == m.shape() && w.shape() == g.shape(), "muon_step: weights ", w, ", momentum ",
        m, " and gradient ", g, " must have one shape");
  const NoGrad guard;
  const auto rows = static_cast<double>(w.size(0)), columns = static_cast<double>(w.size(1));
  copy_(m, mul(m, options.momentum) + g);
  Tensor step = orthogonalised(g + mul(m, options.momentum), options.steps, options.products);
  Tensor from = w;
  // What is all zeros stays so, as no norm can be given to it.
  if (options.rescale) from = w * mul(reciprocal(add(euclidean_norm(w), 1e-30)), std::sqrt(rows));
  else step = mul(step, std::sqrt(std::max(1.0, rows / columns)));
  if (options.weight_decay > 0) step = step + mul(from, options.weight_decay);
  copy_(w, from - step * rate);
}

}  // namespace passband
