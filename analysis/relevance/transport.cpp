// Sparse transport matrices.
#include "analysis/relevance/transport.h"

#include <algorithm>
#include <numeric>

#include "tensor/core/error.h"

namespace passband {

Transport Transport::dense(int64_t rows, int64_t columns, std::span<const double> values) {
  CHECK(static_cast<int64_t>(values.size()) == rows * columns, "transport: ", values.size(),
        " values for ", rows, " x ", columns);
  Transport result(columns);
  for (int64_t i = 0; i < rows; ++i) {
    result.begin_row();
    for (int64_t j = 0; j < columns; ++j) {
      const double weight = values[static_cast<size_t>(i * columns + j)];
      if (weight != 0) result.add(j, weight);
    }
  }
  return result;
}

Transport Transport::identity(int64_t size) {
  Transport result(size);
  for (int64_t i = 0; i < size; ++i) {
    result.begin_row();
    result.add(i, 1);
  }
  return result;
}

void Transport::begin_row() {
  start_.push_back(start_.back());
  ++rows_;
}

void Transport::add(int64_t column, double weight) {
  column_.push_back(static_cast<int32_t>(column));
  weight_.push_back(weight);
  ++start_.back();
}

std::vector<double> Transport::row_sums() const {
  std::vector<double> sums(static_cast<size_t>(rows_));
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i] = std::accumulate(weight_.begin() + start_[i], weight_.begin() + start_[i + 1], 0.0);
  return sums;
}

void Transport::normalise_rows() {
  const std::vector<double> sums = row_sums();
  for (size_t i = 0; i < sums.size(); ++i) {
    if (sums[i] <= 0) continue;
    for (auto e = static_cast<size_t>(start_[i]); e < static_cast<size_t>(start_[i + 1]); ++e)
      weight_[e] /= sums[i];
  }
}

std::vector<double> Transport::carry(const std::vector<double>& from) const {
  CHECK(static_cast<int64_t>(from.size()) == rows_, "transport: ", from.size(), " places for ",
        rows_, " rows");
  std::vector<double> to(static_cast<size_t>(columns_));
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == 0) continue;
    for (auto e = static_cast<size_t>(start_[i]); e < static_cast<size_t>(start_[i + 1]); ++e)
      to[static_cast<size_t>(column_[e])] += from[i] * weight_[e];
  }
  return to;
}

std::vector<double> Transport::values() const {
  std::vector<double> dense(static_cast<size_t>(rows_ * columns_));
  for (int64_t i = 0; i < rows_; ++i)
    for (auto e = static_cast<size_t>(start_[static_cast<size_t>(i)]);
         e < static_cast<size_t>(start_[static_cast<size_t>(i) + 1]); ++e)
      dense[static_cast<size_t>(i * columns_ + column_[e])] += weight_[e];
  return dense;
}

namespace {

struct Overlap {
  int64_t index;
  double share;
};

// The cells of `lower` equal parts of an interval that part `i` of `upper` covers, by overlap.
std::vector<Overlap> overlaps(int64_t i, int64_t upper, int64_t lower) {
  std::vector<Overlap> result;
  const int64_t begin = i * lower, end = (i + 1) * lower;  // in units of 1 / (upper lower)
  for (int64_t j = begin / upper; j * upper < end; ++j) {
    const int64_t covered = std::min(end, (j + 1) * upper) - std::max(begin, j * upper);
    result.push_back({j, static_cast<double>(covered) / static_cast<double>(lower)});
  }
  return result;
}

}  // namespace

Transport area_transport(const TapSite& upper, const TapSite& lower) {
  Transport result(lower.prefix + lower.height * lower.width);
  for (int64_t t = 0; t < upper.prefix; ++t) {
    result.begin_row();
    if (t < lower.prefix) result.add(t, 1);
  }
  for (int64_t y = 0; y < upper.height; ++y)
    for (int64_t x = 0; x < upper.width; ++x) {
      result.begin_row();
      for (const Overlap& row : overlaps(y, upper.height, lower.height))
        for (const Overlap& column : overlaps(x, upper.width, lower.width))
          result.add(lower.prefix + row.index * lower.width + column.index,
                     row.share * column.share);
    }
  return result;
}

}  // namespace passband
