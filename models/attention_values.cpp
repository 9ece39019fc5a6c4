#include "models/attention_values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "nn/truncated_normal.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// The first `count` columns, and rows, of a matrix.
Tensor columns(const Tensor& matrix, int64_t count) { return slice(matrix, 1, 0, count); }
Tensor rows(const Tensor& matrix, int64_t count) { return slice(matrix, 0, 0, count); }

// Each row times a number.
Tensor scaled_rows(const Tensor& matrix, const std::vector<double>& by) {
  return matrix *
         Tensor::from(std::span(by).first(matrix.size(0)), {matrix.size(0), 1}, DType::f64);
}

Factors factors_of(const Tensor& product, int64_t rank) {
  const Svd d = svd(product);
  rank = std::min<int64_t>(rank, std::ssize(d.sigma));
  std::vector<double> roots;
  for (const double sigma : d.sigma) roots.push_back(std::sqrt(sigma));
  return {scaled_rows(transpose(columns(d.u, rank), 0, 1), roots),
          scaled_rows(rows(d.vt, rank), roots)};
}

// Rows and columns to a neighbour, as the code of arXiv 2505.19985 deals them out.
constexpr std::array<std::array<int64_t, 2>, 9> kNeighbours = {
    {{0, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}}};

}  // namespace

Factors near_identity(int64_t width, int64_t rank, double alpha, double beta,
                      const RandomKey& key) {
  const double most = std::sqrt(3.0 / static_cast<double>(width));
  Tensor product = mul(Tensor::uniform({width, width}, -most, most, key, DType::f64), alpha);
  for (int64_t i = 0; i < width; ++i) product.data<double>()[i * width + i] += beta;
  return factors_of(product, rank);
}

Tensor sincos_positions(Grid grid, int64_t width) {
  const int64_t waves = width / 4;
  Tensor table = Tensor::empty({grid.pixels(), width}, DType::f64);
  double* out = table.data<double>();
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x, out += width)
      for (int64_t i = 0; i < waves; ++i) {
        const double frequency =
            std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(waves - 1));
        const double across = static_cast<double>(x) * frequency,
                     down = static_cast<double>(y) * frequency;
        out[i] = std::sin(across), out[waves + i] = std::cos(across);
        out[2 * waves + i] = std::sin(down), out[3 * waves + i] = std::cos(down);
      }
  return table;
}

Tensor inverse_of_normalised(const Tensor& positions, int64_t rank) {
  const Tensor centred = positions - mean(positions, {1}, true);
  const Svd d = svd(centred * rsqrt(mean(square(centred), {1}, true) + 1e-6));
  const double least = 1e-9 * d.sigma.front();  // below: directions that the positions do not have
  int64_t kept = 0;
  std::vector<double> inverse;
  while (kept < std::min<int64_t>(rank, std::ssize(d.sigma)) && d.sigma[kept] > least)
    inverse.push_back(1 / d.sigma[kept++]);
  return matmul(rows(d.vt, kept), scaled_rows(transpose(columns(d.u, kept), 0, 1), inverse),
                {.transpose_a = true});
}

Factors looks_at(int64_t which, Grid grid, const Tensor& inverse, int64_t rank,
                 const RandomKey& key) {
  const auto& [down, across] = kNeighbours.at(static_cast<size_t>(which) % kNeighbours.size());
  const int64_t tokens = grid.pixels();
  Tensor wanted = Tensor::empty({tokens, tokens}, DType::f64);
  for (int64_t from = 0; from < tokens; ++from)
    for (int64_t to = 0; to < tokens; ++to) {
      const bool neighbour = to / grid.width == from / grid.width + down &&
                             to % grid.width == from % grid.width + across;
      const int64_t index = from * tokens + to;
      wanted.data<double>()[index] =
          neighbour ? 1000 : 3 * truncated_normal(key, static_cast<uint64_t>(index), 0.6);
    }
  Factors factors =
      factors_of(matmul(matmul(inverse, wanted), inverse, {.transpose_b = true}), rank);
  for (Tensor* side : {&factors.left, &factors.right})
    *side = mul(*side, kStructuredNorm / std::sqrt(sum(square(*side)).item()));
  return factors;
}

std::vector<double> looks_at(int64_t which, int64_t window) {
  const auto& [down, across] = kNeighbours.at(static_cast<size_t>(which) % kNeighbours.size());
  const int64_t side = 2 * window - 1, others = window * window - 1;
  std::vector<double> table(static_cast<size_t>(side * side));
  if (others > 0)  // a window of one pixel has no neighbours
    table[static_cast<size_t>((window - 1 + down) * side + window - 1 + across)] =
        std::log(0.95 / 0.05 * static_cast<double>(others));
  return table;
}

}  // namespace passband
