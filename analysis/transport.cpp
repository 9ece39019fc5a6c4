// Sparse transport matrices and the rollout rules.
#include "analysis/transport.h"

#include <algorithm>
#include <numeric>

#include "analysis/window_grid.h"
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

double fused(Fusion fusion, const float* first, int64_t heads, int64_t stride) {
  double value = static_cast<double>(*first);
  for (int64_t h = 1; h < heads; ++h) {
    const double next = static_cast<double>(first[h * stride]);
    value = fusion == Fusion::mean  ? value + next
            : fusion == Fusion::max ? std::max(value, next)
                                    : std::min(value, next);
  }
  return fusion == Fusion::mean ? value / static_cast<double>(heads) : value;
}

// mean_h (A_h G_h), its positive part taken after the mean (gradient rollout) or before (ICCV
// 2021).
double weighted(const float* a, const float* g, int64_t heads, int64_t stride, bool clamp_heads) {
  double sum = 0;
  for (int64_t h = 0; h < heads; ++h) {
    const double product = static_cast<double>(a[h * stride]) * static_cast<double>(g[h * stride]);
    sum += clamp_heads ? std::max(product, 0.0) : product;
  }
  return std::max(sum / static_cast<double>(heads), 0.0);
}

// All windows of a picture, heads fused: windows x T x T.
std::vector<double> fuse(int64_t windows, int64_t heads, int64_t tokens,
                         std::span<const float> probabilities, std::span<const float> gradients,
                         const RolloutOptions& options) {
  const int64_t cells = tokens * tokens;
  std::vector<double> result(static_cast<size_t>(windows * cells));
  for (int64_t w = 0; w < windows; ++w)
    for (int64_t c = 0; c < cells; ++c) {
      const auto at = static_cast<size_t>(w * heads * cells + c);
      const float* a = probabilities.data() + at;
      result[static_cast<size_t>(w * cells + c)] =
          options.rule == RolloutRule::attention
              ? fused(options.fusion, a, heads, cells)
              : weighted(a, gradients.data() + at, heads, cells,
                         options.rule == RolloutRule::class_specific);
    }
  return result;
}

// Sets the smallest entries to 0: of equal ones those of lower index, as many as asked for.
void discard_smallest(std::vector<double>& matrix, int64_t tokens, int64_t prefix,
                      const RolloutOptions& options) {
  const auto count = static_cast<size_t>(static_cast<double>(matrix.size()) * options.discard);
  if (count == 0) return;
  std::vector<size_t> order(matrix.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto smaller = [&](size_t a, size_t b) {
    return matrix[a] != matrix[b] ? matrix[a] < matrix[b] : a < b;
  };
  std::nth_element(order.begin(), order.begin() + static_cast<int64_t>(count) - 1, order.end(),
                   smaller);
  for (size_t k = 0; k < count; ++k) {
    const bool kept =
        options.vit_explain ? order[k] == 0 : static_cast<int64_t>(order[k]) % tokens < prefix;
    if (!kept) matrix[order[k]] = 0;
  }
}

// One window's rows of (A + I) / 2 with row sums 1, or of I + A for the class-specific rule.
void add_residual(double* matrix, int64_t tokens, const RolloutOptions& options) {
  for (int64_t i = 0; i < tokens; ++i) matrix[i * tokens + i] += 1;
  if (options.rule == RolloutRule::class_specific) return;
  std::vector<double> sums(static_cast<size_t>(tokens));
  for (int64_t i = 0; i < tokens; ++i)
    sums[static_cast<size_t>(i)] =
        std::accumulate(matrix + i * tokens, matrix + (i + 1) * tokens, 0.0);
  for (int64_t i = 0; i < tokens; ++i)
    for (int64_t j = 0; j < tokens; ++j)
      matrix[i * tokens + j] /= sums[static_cast<size_t>(options.vit_explain ? j : i)];
}

}  // namespace

Transport attention_transport(const TapSite& site, int64_t heads,
                              std::span<const float> probabilities,
                              std::span<const float> gradients, const RolloutOptions& options) {
  const WindowGrid grid(site);
  const int64_t prefix = site.prefix, tokens = prefix + grid.tokens(), cells = tokens * tokens;
  CHECK(static_cast<int64_t>(probabilities.size()) == grid.windows * heads * cells,
        "rollout: ", site.path, " has ", probabilities.size(), " probabilities for ", grid.windows,
        " windows of ", tokens, " tokens and ", heads, " heads");
  CHECK(options.rule == RolloutRule::attention || gradients.size() == probabilities.size(),
        "rollout: ", site.path, ": this rule needs a gradient for each probability");
  std::vector<double> matrix = fuse(grid.windows, heads, tokens, probabilities, gradients, options);
  if (options.rule != RolloutRule::class_specific)
    discard_smallest(matrix, tokens, prefix, options);
  const int64_t places = prefix + site.height * site.width;
  std::vector<std::pair<int64_t, int64_t>> home(static_cast<size_t>(places));  // window, token
  for (int64_t w = 0; w < grid.windows; ++w) {
    add_residual(matrix.data() + w * cells, tokens, options);
    for (int64_t t = 0; t < tokens; ++t)
      home[static_cast<size_t>(t < prefix ? t : prefix + grid.position(site, w, t - prefix))] = {w,
                                                                                                 t};
  }
  Transport result(places);
  for (const auto& [w, t] : home) {
    result.begin_row();
    const double* row = matrix.data() + w * cells + t * tokens;
    for (int64_t j = 0; j < tokens; ++j)
      if (row[j] != 0)
        result.add(j < prefix ? j : prefix + grid.position(site, w, j - prefix), row[j]);
  }
  return result;
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

std::vector<double> roll_down(const std::vector<Transport>& steps, std::vector<double> start) {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) start = step->carry(start);
  return start;
}

}  // namespace passband
