// Fusing heads, and a row vector times block-diagonal matrices.
#include "analysis/relevance/attention_step.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "analysis/study/window_grid.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// One matrix a window, (N * windows, T, T) f64.
Tensor fused(const Tensor& probabilities, const Tensor& gradients,
             const AttentionStepOptions& options) {
  const Tensor a = cast(probabilities.detach(), DType::f64);
  if (options.rule == RolloutRule::attention) {
    if (options.fusion == Fusion::mean) return mean(a, {1});
    return options.fusion == Fusion::max ? max(a, 1) : -max(-a, 1);
  }
  const Tensor weighted = a * cast(gradients.detach(), DType::f64);
  return options.rule == RolloutRule::class_specific ? mean(relu(weighted), {1})
                                                     : relu(mean(weighted, {1}));
}

// Sets the smallest entries of each picture's windows (N * windows, T, T) to 0: of equal ones those
// of lower index, as many as asked for.
Tensor without_smallest(const Tensor& matrices, int64_t windows, int64_t prefix,
                        const AttentionStepOptions& options) {
  const auto tokens = static_cast<size_t>(matrices.size(1)),
             picture = static_cast<size_t>(windows) * tokens * tokens;
  const auto count = static_cast<int64_t>(static_cast<double>(picture) * options.discard);
  if (count == 0) return matrices;
  std::vector<double> all = matrices.values();
  std::vector<size_t> order(picture);
  for (auto first = all.begin(); first != all.end(); first += static_cast<int64_t>(picture)) {
    const double* matrix = &*first;
    std::iota(order.begin(), order.end(), size_t{0});
    const auto smaller = [&](size_t i, size_t j) {
      return matrix[i] != matrix[j] ? matrix[i] < matrix[j] : i < j;
    };
    std::nth_element(order.begin(), order.begin() + count - 1, order.end(), smaller);
    for (int64_t k = 0; k < count; ++k) {
      const size_t entry = order[static_cast<size_t>(k)];
      const bool kept =
          options.vit_explain ? entry == 0 : static_cast<int64_t>(entry % tokens) < prefix;
      if (!kept) first[static_cast<int64_t>(entry)] = 0;
    }
  }
  return Tensor::from(all, matrices.shape(), DType::f64, matrices.device());
}

// Rows of (A + I) / 2 with row sums 1, or of I + A for the class-specific rule.
Tensor with_shortcut(const Tensor& matrices, const AttentionStepOptions& options) {
  const int64_t tokens = matrices.size(1);
  std::vector<double> ones(static_cast<size_t>(tokens * tokens));
  for (int64_t i = 0; i < tokens; ++i) ones[static_cast<size_t>(i * (tokens + 1))] = 1;
  const Tensor whole =
      matrices + Tensor::from(ones, {tokens, tokens}, DType::f64, matrices.device());
  if (options.rule == RolloutRule::class_specific) return whole;
  const Tensor sums = sum(whole, {2}, /*keepdim=*/true);
  return whole / (options.vit_explain ? reshape(sums, Shape{matrices.size(0), 1, tokens}) : sums);
}

Tensor indices(const std::vector<double>& values, Device device) {
  return Tensor::from(values, {std::ssize(values)}, DType::i32, device);
}

}  // namespace

AttentionStep::AttentionStep(const TapSite& site, const Tensor& shown, const Tensor& slopes,
                             const AttentionStepOptions& options) {
  NoGrad no_grad;
  const Tensor probabilities = over_places(site, shown);
  // Spread as the probabilities, so that their product with these sums to the key's.
  const double cells = static_cast<double>(key_cell(site, shown) * key_cell(site, shown));
  const Tensor gradients =
      slopes.defined() && cells > 1 ? over_places(site, slopes) * cells : slopes;
  const WindowGrid grid(site);
  const int64_t prefix = site.prefix, tokens = prefix + grid.tokens();
  windows_ = grid.windows;
  CHECK(probabilities.rank() == 4 && probabilities.size(0) % windows_ == 0 &&
            probabilities.size(2) == tokens && probabilities.size(3) == tokens,
        "rollout: ", site.path, " has probabilities ", probabilities, " for ", windows_,
        " windows of ", tokens, " tokens");
  CHECK(options.rule == RolloutRule::attention ||
            (gradients.defined() && gradients.shape() == probabilities.shape()),
        "rollout: ", site.path, ": this rule needs a gradient for each probability");
  CHECK(prefix == 0 || windows_ == 1, "rollout: ", site.path, " has windows beside ", prefix,
        " prefix tokens");
  matrices_ = fused(probabilities, gradients, options);
  if (options.rule != RolloutRule::class_specific)
    matrices_ = without_smallest(matrices_, windows_, prefix, options);
  matrices_ = with_shortcut(matrices_, options);
  std::vector<double> order, back(static_cast<size_t>(windows_ * tokens));
  for (int64_t w = 0; w < windows_; ++w)
    for (int64_t t = 0; t < tokens; ++t)
      order.push_back(
          static_cast<double>(t < prefix ? t : prefix + grid.position(site, w, t - prefix)));
  for (size_t i = 0; i < order.size(); ++i)
    back[static_cast<size_t>(order[i])] = static_cast<double>(i);
  order_ = indices(order, matrices_.device());
  back_ = indices(back, matrices_.device());
}

Tensor AttentionStep::carry(const Tensor& relevance) const {
  NoGrad no_grad;
  const int64_t pictures = relevance.size(0), places = relevance.size(1),
                tokens = matrices_.size(1);
  CHECK(pictures * windows_ == matrices_.size(0) && places == windows_ * tokens,
        "rollout: relevance ", relevance, " for ", matrices_.size(0), " windows of ", tokens,
        " tokens, ", windows_, " a picture");
  const auto reordered = [](const Tensor& rows, const Tensor& by) {
    return transpose(gather(transpose(rows, 0, 1), by), 0, 1);
  };
  const Tensor rows = reshape(reordered(relevance, order_), Shape{matrices_.size(0), 1, tokens});
  return reordered(reshape(matmul(rows, matrices_), Shape{pictures, places}), back_);
}

}  // namespace passband
