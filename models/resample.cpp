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

}  // namespace passband
