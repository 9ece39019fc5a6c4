#include "models/resample.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/error.h"

namespace passband {
namespace {

// Keys' cubic kernel (1981), nothing beyond 2.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return a * (((x - 5) * x + 8) * x - 4);
  return 0;
}

struct Tap {
  int64_t index;
  double weight;
};
using Taps = std::vector<std::vector<Tap>>;  // of each output, along one axis

std::vector<Tap> plain_taps(double centre, int64_t in) {
  constexpr double kA = -0.75;
  const double at = centre - 0.5, first = std::floor(at) - 1;
  std::vector<Tap> taps;
  for (int k = 0; k < 4; ++k)
    taps.push_back(
        {std::clamp<int64_t>(static_cast<int64_t>(first) + k, 0, in - 1),  // the edge repeats
         cubic(at - first - k, kA)});
  return taps;
}

std::vector<Tap> antialiased_taps(double centre, double ratio, int64_t in) {
  constexpr double kA = -0.5;
  const double widening = std::max(ratio, 1.0), support = 2 * widening;
  const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
  const int64_t end = std::min(in, static_cast<int64_t>(centre + support + 0.5));
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t i = first; i < end; ++i) {
    taps.push_back({i, cubic((static_cast<double>(i) + 0.5 - centre) / widening, kA)});
    sum += taps.back().weight;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

Taps taps_of(int64_t in, int64_t out, CubicFilter filter) {
  const double ratio = static_cast<double>(in) / static_cast<double>(out);
  Taps taps;
  for (int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * ratio;
    taps.push_back(filter == CubicFilter::plain ? plain_taps(centre, in)
                                                : antialiased_taps(centre, ratio, in));
  }
  return taps;
}

}  // namespace

std::vector<float> resample_table(std::span<const float> table, TableGrid from, TableGrid to,
                                  int64_t depth, CubicFilter filter) {
  CHECK(std::ssize(table) == from.rows * from.columns * depth && to.rows > 0 && to.columns > 0,
        "resample_table: ", table.size(), " values are no ", from.rows, " x ", from.columns,
        " table of depth ", depth);
  const Taps down = taps_of(from.rows, to.rows, filter);
  const Taps across = taps_of(from.columns, to.columns, filter);
  std::vector<float> out;
  out.reserve(static_cast<size_t>(to.rows * to.columns * depth));
  std::vector<double> sum(static_cast<size_t>(depth));
  for (const auto& rows : down)
    for (const auto& columns : across) {
      std::ranges::fill(sum, 0);
      for (const Tap& row : rows)
        for (const Tap& column : columns) {
          const float* cell = &table[(row.index * from.columns + column.index) * depth];
          for (int64_t d = 0; d < depth; ++d)
            sum[static_cast<size_t>(d)] +=
                row.weight * column.weight * static_cast<double>(cell[d]);
        }
      for (const double value : sum) out.push_back(static_cast<float>(value));
    }
  return out;
}

namespace {

struct Matrix {
  int64_t rows, columns;
  std::vector<double> values = std::vector<double>(static_cast<size_t>(rows * columns));

  double& at(int64_t r, int64_t c) { return values[static_cast<size_t>(r * columns + c)]; }
  double at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * columns + c)]; }
};

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out{a.rows, b.columns};
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t k = 0; k < a.columns; ++k)
      for (int64_t c = 0; c < b.columns; ++c) out.at(r, c) += a.at(r, k) * b.at(k, c);
  return out;
}

Matrix turned(const Matrix& a) {
  Matrix out{a.columns, a.rows};
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < a.columns; ++c) out.at(c, r) = a.at(r, c);
  return out;
}

// a^-1 b for a symmetric positive definite a, by elimination.
Matrix solved(Matrix a, Matrix b) {
  for (int64_t pivot = 0; pivot < a.rows; ++pivot)
    for (int64_t r = 0; r < a.rows; ++r) {
      if (r == pivot) continue;
      const double factor = a.at(r, pivot) / a.at(pivot, pivot);
      for (int64_t c = pivot; c < a.columns; ++c) a.at(r, c) -= factor * a.at(pivot, c);
      for (int64_t c = 0; c < b.columns; ++c) b.at(r, c) -= factor * b.at(pivot, c);
    }
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < b.columns; ++c) b.at(r, c) /= a.at(r, r);
  return b;
}

// What resizes a picture of `from` to one of `to`: (to, from).
Matrix resizing(TableGrid from, TableGrid to) {
  const int64_t in = from.rows * from.columns, out = to.rows * to.columns;
  std::vector<float> identity(static_cast<size_t>(in * in));
  for (int64_t i = 0; i < in; ++i) identity[static_cast<size_t>(i * in + i)] = 1;
  const std::vector<float> table = resample_table(identity, from, to, in, CubicFilter::antialiased);
  return {out, in, {table.begin(), table.end()}};
}

}  // namespace

std::vector<float> resample_kernels(std::span<const float> kernels, int64_t count, TableGrid from,
                                    TableGrid to) {
  const int64_t in = from.rows * from.columns, out = to.rows * to.columns;
  CHECK(std::ssize(kernels) == count * in, "resample_kernels: ", kernels.size(), " values are not ",
        count, " kernels of ", from.rows, " x ", from.columns);
  const Matrix b = resizing(from, to), bt = turned(b);
  // The pseudo-inverse, turned: (out, in).
  const Matrix inverse = out <= in ? solved(product(b, bt), b) : turned(solved(product(bt, b), bt));
  const Matrix given{count, in, {kernels.begin(), kernels.end()}};
  const Matrix result = product(given, turned(inverse));
  return {result.values.begin(), result.values.end()};
}

}  // namespace passband
