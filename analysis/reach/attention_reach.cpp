#include "analysis/reach/attention_reach.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/window_grid.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

double grid_distance(int64_t a, int64_t b, int64_t width) {
  const double dy = static_cast<double>(a / width - b / width),
               dx = static_cast<double>(a % width - b % width);
  return std::sqrt(dy * dy + dx * dx);
}

// Grid steps between queries and keys, 0 from and to prefix tokens: (T, T), and with several
// windows, whose tables differ where they are shifted, (windows, heads, T, T).
Tensor distance_table(const TapSite& site, const WindowGrid& grid, int64_t heads, Device device) {
  const int64_t tokens = grid.tokens(), all = site.prefix + tokens,
                copies = grid.windows > 1 ? heads : 1;
  std::vector<double> table(static_cast<size_t>(grid.windows * copies * all * all));
  for (int64_t w = 0; w < grid.windows; ++w)
    for (int64_t h = 0; h < copies; ++h)
      for (int64_t i = 0; i < tokens; ++i)
        for (int64_t j = 0; j < tokens; ++j)
          table[static_cast<size_t>(((w * copies + h) * all + site.prefix + i) * all + site.prefix +
                                    j)] =
              grid_distance(grid.position(site, w, i), grid.position(site, w, j), site.width);
  const Shape shape = grid.windows > 1 ? Shape{grid.windows, heads, all, all} : Shape{all, all};
  return Tensor::from(table, shape, DType::f32, device);
}

// 1 for tokens first, first + 1, ... of `all`, else 0.
Tensor marked(int64_t first, int64_t count, int64_t all, Device device) {
  std::vector<double> marks(static_cast<size_t>(all));
  std::fill_n(marks.begin() + first, count, 1.0);
  return Tensor::from(marks, {all}, DType::f32, device);
}

// Sums over pictures, windows and queries first, first + 1, ... of rows (N, windows, heads, T):
// (heads) f64.
Tensor head_sums(const Tensor& rows, int64_t first, int64_t count) {
  return sum(cast(slice(rows, 3, first, count), DType::f64), {0, 1, 3});
}

void add_to(Tensor& sums, const Tensor& more) {
  if (sums.defined()) add_(sums, more);
  else sums = more;
}

// (N * windows, heads, T, keys) of any type as (N, windows, heads, T, keys) f32.
Tensor by_picture(const Tensor& weights, const WindowGrid& grid) {
  const int64_t heads = weights.size(1), queries = weights.size(2);
  return reshape(
      cast(weights.detach(), DType::f32),
      Shape{weights.size(0) / grid.windows, grid.windows, heads, queries, weights.size(3)});
}

void check_tokens(const char* what, const TapSite& site, const WindowGrid& grid,
                  const Tensor& weights) {
  CHECK(weights.size(2) == grid.tokens() + site.prefix, what, ": ", site.path, " attends over ",
        weights.size(2), " tokens, its grid has ", grid.tokens() + site.prefix);
}

std::vector<double> mean_over(const Tensor& sums, double count) {
  std::vector<double> values = sums.values();
  for (double& value : values) value /= count;
  return values;
}

}  // namespace

void AttentionDistance::add(const TapSite& site, const Tensor& shown) {
  NoGrad no_grad;
  const Tensor weights = over_places(site, shown);
  const WindowGrid grid(site);
  check_tokens("attention distance", site, grid, weights);
  const Device device = weights.device();
  const int64_t heads = weights.size(1), tokens = grid.tokens(), prefix = site.prefix,
                all = weights.size(2);
  if (!table_.defined()) {
    table_ = distance_table(site, grid, heads, device);
    grid_keys_ = marked(prefix, tokens, all, device);
    class_keys_ = marked(0, prefix, all, device);
    mass_ = Tensor::zeros({heads}, DType::f64, device);
  }
  const Tensor p = by_picture(weights, grid);
  Tensor reach = vecdot(p, table_);  // (N, windows, heads, T)
  if (class_token_ == ClassToken::renormalise)
    reach = reach / clamp(vecdot(p, grid_keys_), 1e-30, 1e30);
  const double steps = static_cast<double>(grid.windows * tokens);
  const Tensor means =
      sum(cast(slice(reach, 3, prefix, tokens), DType::f64), {1, 3}) * (site.patch / steps);
  const std::vector<double> values = means.values();  // pictures x heads
  pictures_.insert(pictures_.end(), values.begin(), values.end());
  if (prefix > 0) add_(mass_, head_sums(vecdot(p, class_keys_), prefix, tokens));
  count_ += static_cast<double>(weights.size(0) * tokens);
}

void AttentionDistance::join(const OwnPart& part) {
  part.append(pictures_);
  part.join(mass_);
  part.join(count_);
}

std::vector<double> AttentionDistance::distances() const {
  const auto heads = static_cast<size_t>(mass_.numel()), count = pictures_.size() / heads;
  std::vector<double> means(heads);
  for (size_t i = 0; i < pictures_.size(); ++i)
    means[i % heads] += pictures_[i] / static_cast<double>(count);
  return means;
}

std::vector<double> AttentionDistance::class_mass() const { return mean_over(mass_, count_); }

double uniform_distance(int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n * n; ++i)
    for (int64_t j = 0; j < n * n; ++j) total += grid_distance(i, j, n);
  return total / static_cast<double>(n * n * n * n);
}

void AttentionEntropy::add(const TapSite& site, const Tensor& probabilities) {
  NoGrad no_grad;
  const WindowGrid grid(site);
  check_tokens("attention entropy", site, grid, probabilities);
  keys_ = probabilities.size(3);
  const Tensor p = by_picture(probabilities, grid);
  const Tensor entropy = vecdot(p, log(clamp(p, 1e-37, 1))) * -1.0;  // p ln p -> 0 for p -> 0
  add_to(grid_, head_sums(entropy, site.prefix, grid.tokens()));
  if (site.prefix > 0) add_to(class_, head_sums(entropy, 0, site.prefix));
  grid_count_ += static_cast<double>(probabilities.size(0) * grid.tokens());
  class_count_ += static_cast<double>(probabilities.size(0) * site.prefix);
}

void AttentionEntropy::join(const OwnPart& part) {
  part.join(grid_);
  part.join(class_);
  part.join(grid_count_);
  part.join(class_count_);
}

std::vector<double> AttentionEntropy::entropy() const { return mean_over(grid_, grid_count_); }

std::vector<double> AttentionEntropy::class_entropy() const {
  return class_.defined() ? mean_over(class_, class_count_) : std::vector<double>{};
}

std::string why_no_attention(const std::string& label, const Model& model) {
  if (model.has(BlockKind::lambda))
    return label +
           " mixes positions by lambda layers: their effective weights are signed and do not sum "
           "to 1, so there is "
           "no attention to follow; lambda-maps shows them.";
  if (model.has(BlockKind::hydra))
    return label +
           " mixes positions by Hydra attention, with a signed map for every channel: there are no "
           "shares to follow; hydra-maps shows the maps, rollout-norm what they move.";
  return label +
         " has no attention layer: nothing to show here; rollout-norm shows how far its blocks "
         "fetch, receptive-field what its layers see.";
}

}  // namespace passband
