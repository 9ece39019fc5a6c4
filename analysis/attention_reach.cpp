#include "analysis/attention_reach.h"

#include <cmath>

#include "analysis/window_grid.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

double grid_distance(int64_t a, int64_t b, int64_t width) {
  const double dy = static_cast<double>(a / width - b / width),
               dx = static_cast<double>(a % width - b % width);
  return std::sqrt(dy * dy + dx * dx);
}

std::vector<float> distance_table(const TapSite& site, const WindowGrid& grid) {
  std::vector<float> table;
  const int64_t tokens = grid.tokens();
  for (int64_t w = 0; w < grid.windows; ++w)
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t j = 0; j < tokens; ++j)
        table.push_back(static_cast<float>(
            grid_distance(grid.position(site, w, i), grid.position(site, w, j), site.width)));
  return table;
}

void check_tokens(const char* what, const TapSite& site, const WindowGrid& grid,
                  const Tensor& weights) {
  CHECK(weights.size(2) == grid.tokens() + site.prefix, what, ": ", site.path, " attends over ",
        weights.size(2), " tokens, its grid has ", grid.tokens() + site.prefix);
}

std::vector<double> mean_over(std::vector<double> sums, double count) {
  for (double& value : sums) value /= count;
  return sums;
}

// Sums over the queries of one head of one window.
struct RowSums {
  double reach = 0, mass = 0;
};

RowSums head_sums(const float* matrix, const float* table, int64_t tokens, int64_t prefix,
                  bool renormalise) {
  RowSums sums;
  const int64_t all = tokens + prefix;
  for (int64_t i = 0; i < tokens; ++i) {
    const float* row = matrix + (i + prefix) * all;
    const float* steps = table + i * tokens;
    float reach = 0, total = 0;
    for (int64_t c = 0; c < prefix; ++c) sums.mass += static_cast<double>(row[c]);
#pragma omp simd reduction(+ : reach, total)
    for (int64_t j = 0; j < tokens; ++j) {
      reach += row[j + prefix] * steps[j];
      total += row[j + prefix];
    }
    if (!renormalise) total = 1;
    sums.reach += total > 0 ? static_cast<double>(reach) / static_cast<double>(total) : 0;
  }
  return sums;
}

double entropy_of(const float* row, int64_t count) {
  double entropy = 0;
  for (int64_t j = 0; j < count; ++j)
    if (row[j] > 0) entropy -= static_cast<double>(row[j] * std::log(row[j]));
  return entropy;
}

}  // namespace

void AttentionDistance::add(const TapSite& site, const Tensor& weights) {
  const WindowGrid grid(site);
  check_tokens("attention distance", site, grid, weights);
  if (table_.empty()) table_ = distance_table(site, grid);
  const int64_t heads = weights.size(1), tokens = grid.tokens(), all = tokens + site.prefix,
                windows = weights.size(0);
  distance_.resize(static_cast<size_t>(heads));
  mass_.resize(static_cast<size_t>(heads));
  const Tensor p = cast(weights.detach(), DType::f32);
  const float* a = p.data<float>();
  const bool renormalise = class_token_ == ClassToken::renormalise;
#pragma omp parallel for
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t b = 0; b < windows; ++b) {
      const float* table = table_.data() + (b % grid.windows) * tokens * tokens;
      const RowSums sums =
          head_sums(a + (b * heads + h) * all * all, table, tokens, site.prefix, renormalise);
      distance_[static_cast<size_t>(h)] += site.patch * sums.reach;
      mass_[static_cast<size_t>(h)] += sums.mass;
    }
  }
  count_ += static_cast<double>(windows * tokens);
}

std::vector<double> AttentionDistance::distances() const { return mean_over(distance_, count_); }

std::vector<double> AttentionDistance::class_mass() const { return mean_over(mass_, count_); }

double uniform_distance(int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n * n; ++i)
    for (int64_t j = 0; j < n * n; ++j) total += grid_distance(i, j, n);
  return total / static_cast<double>(n * n * n * n);
}

void AttentionEntropy::add(const TapSite& site, const Tensor& probabilities) {
  const WindowGrid grid(site);
  check_tokens("attention entropy", site, grid, probabilities);
  const int64_t heads = probabilities.size(1), all = probabilities.size(2),
                windows = probabilities.size(0);
  keys_ = all;
  grid_.resize(static_cast<size_t>(heads));
  class_.resize(site.prefix > 0 ? static_cast<size_t>(heads) : 0);
  const Tensor p = cast(probabilities.detach(), DType::f32);
  const float* a = p.data<float>();
#pragma omp parallel for
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t b = 0; b < windows; ++b) {
      for (int64_t i = 0; i < all; ++i) {
        const double entropy = entropy_of(a + ((b * heads + h) * all + i) * all, all);
        (i < site.prefix ? class_ : grid_)[static_cast<size_t>(h)] += entropy;
      }
    }
  }
  grid_count_ += static_cast<double>(windows * grid.tokens());
  class_count_ += static_cast<double>(windows * site.prefix);
}

std::vector<double> AttentionEntropy::entropy() const { return mean_over(grid_, grid_count_); }

std::vector<double> AttentionEntropy::class_entropy() const {
  return mean_over(class_, class_count_);
}

std::string why_no_attention(const std::string& label, const Model& model) {
  if (model.pattern().find('L') != std::string::npos)
    return label +
           " mixes positions by lambda layers: their effective weights are signed and do not sum "
           "to 1, so there is "
           "no attention to follow.";
  return label + " has no attention layer: nothing to show here.";
}

}  // namespace passband
