// The pattern builder: stem, stages of blocks, head.
#include "models/network.h"

#include <algorithm>
#include <optional>

#include "models/block_parts.h"
#include "models/pattern.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Entry `stage` of a per-stage list; beyond the end the last entry is multiplied by `growth` for
// each further stage.
int64_t per_stage(const std::vector<int64_t>& list, size_t stage, int64_t growth) {
  int64_t value = list[std::min(stage, list.size() - 1)];
  for (size_t s = list.size(); s <= stage; ++s) value *= growth;
  return value;
}

int64_t stem_width(const NetworkSpec& spec) { return spec.stem > 0 ? spec.stem : spec.widths[0]; }

const std::string& pattern_for(const NetworkSpec& spec, const ModelOptions& options) {
  return options.begins_small() || spec.pattern_large.empty() ? spec.pattern : spec.pattern_large;
}

// From the image to the first map. CIFAR: one 3x3 convolution. ImageNet: 7x7 of stride 2 and a
// 3x3 max-pool of stride 2, or (ResNet-RS) three 3x3 convolutions and a fourth in place of the
// pool. Norm and ReLU follow in post-activation trunks only.
class Stem {
 public:
  Stem(const Scope& root, const NetworkSpec& spec, const ModelOptions& options)
      : post_(!spec.preactivation), bit_(spec.bit) {
    const bool small = spec.cifar_stem || options.begins_small();
    const int64_t side = options.image_size;
    const int64_t width = stem_width(spec);
    grid_ = {side, side};
    if (spec.resnet_rs && !small) {
      add(root / "conv1" / "0", root / "conv1" / "1", 3, width / 2, 3, 2);
      add(root / "conv1" / "3", root / "conv1" / "4", width / 2, width / 2, 3, 1);
      add(root / "conv1" / "6", root / "bn1", width / 2, width, 3, 1);
      add(root / "maxpool" / "0", root / "maxpool" / "1", width, width, 3, 2);
    } else {
      add(post_ ? root / "conv1" : root / "stem" / "conv", root / "bn1", 3, width, small ? 3 : 7,
          small ? 1 : 2);
      pools_ = !small;
    }
    if (pools_) grid_ = grid_.strided(3, 2, 1);
    site_ = {.kind = BlockKind::stem, .height = grid_.height, .width = grid_.width};
    site_.patch = static_cast<double>(side) / static_cast<double>(grid_.height);
    site_.subsamples = !small;
  }

  Tensor operator()(const Tensor& images) const {
    ScopeGuard guard("stem");
    Tensor x = images;
    for (size_t i = 0; i < convs_.size(); ++i) {
      x = convs_[i](x);
      if (post_) x = norms_[i].relu(x);
    }
    if (pools_ && bit_) x = pad(pad(x, 1, 1, 1), 2, 1, 1);
    if (pools_) x = max_pool2d(x, {.kernel = 3, .stride = 2, .padding = bit_ ? 0 : 1});
    return tap("out", x, site_);
  }

  Grid grid() const { return grid_; }
  double patch() const { return site_.patch; }

 private:
  void add(const Scope& conv, const Scope& norm, int64_t in, int64_t out, int64_t kernel,
           int64_t stride) {
    Conv2dOptions options = {.kernel = kernel, .stride = stride, .standardised = bit_};
    if (post_) options.weight_init = Init::fan_out_normal(out * kernel * kernel);
    convs_.emplace_back(conv, in, out, grid_, options);
    if (post_) norms_.emplace_back(norm, out);
    grid_ = convs_.back().out_grid;
  }

  bool post_;
  bool bit_;  // BiT: standardised filters, and zeros around the map that is pooled
  bool pools_ = false;
  std::vector<Conv2d> convs_;
  std::vector<BatchNorm> norms_;
  Grid grid_;
  TapSite site_;
};

class HybridNetwork final : public Model {
 public:
  HybridNetwork(const std::string& name, const NetworkSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = spec.family;
    options_ = options;
    pattern_ = pattern_for(spec, options);
    const Scope root(store_);
    stem_.emplace(root, spec, options);
    const int64_t channels =
        add_stages(root, spec, split_pattern(pattern_), options.begins_small() ? 4 : 7);
    if (spec.preactivation) norm_.emplace(root / "norm", channels, spec);
    fc_.emplace(spec.preactivation ? root / "head" / "fc" : root / spec.classifier, channels,
                options.classes,
                LinearOptions{.layout = spec.preactivation ? Layout::conv_1x1 : Layout::same});
    head_.kind = BlockKind::head;
    macs_ = store_.macs();
    if (!has_letter(pattern_, "MWSBULH")) least_side_ = std::min<int64_t>(8, options.image_size);
  }

 private:
  // Returns the channels of the last stage.
  int64_t add_stages(const Scope& root, const NetworkSpec& spec,
                     const std::vector<std::string>& words, int64_t window) {
    int64_t total = 0, index = 0;
    for (const std::string& word : words) total += std::ssize(word);
    int64_t channels = stem_width(spec);
    Grid grid = stem_->grid();
    double patch = stem_->patch();
    for (size_t s = 0; s < words.size(); ++s) {
      const Scope stage = spec.preactivation ? root / "stages" / std::to_string(s) / "blocks"
                                             : root / concat_text("layer", s + 1);
      const int64_t width = per_stage(spec.widths, s, 2);
      stages_.emplace_back();
      for (size_t b = 0; b < words[s].size(); ++b, ++index) {
        BlockPlan plan{.scope = stage / std::to_string(b), .letter = words[s][b]};
        plan.in = channels;
        plan.out = spec.bottleneck ? 4 * width : width;
        plan.width = width;
        plan.stride = b == 0 ? per_stage(spec.strides, s, 1) : 1;
        plan.heads = per_stage(spec.heads, s, 2);
        plan.window = spec.window ? spec.window : window;
        plan.grid = grid;
        plan.patch = patch;
        plan.drop_path = drop_path_at(options_.drop_path, index, total);
        stages_.back().push_back(make_block(plan, spec));
        const TapSite& site = stages_.back().back()->site();
        branches_.push_back(site.kind);
        channels = plan.out;
        grid = {site.height, site.width};
        patch = site.patch;
      }
    }
    return channels;
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = (*stem_)(images);  // (N, H, W, C)
    for (const auto& stage : stages_)
      for (const auto& block : stage) x = (*block)(x);
    ScopeGuard guard("head");
    if (norm_) x = norm_->relu(x);
    const Tensor features = tap("features", global_avg_pool(x), head_);  // (N, C)
    return (*fc_)(Dropout{options_.dropout}(features));
  }

  std::optional<Stem> stem_;
  std::vector<std::vector<std::unique_ptr<Block>>> stages_;
  std::optional<TrunkNorm> norm_;
  std::optional<Linear> fc_;
  TapSite head_;
};

}  // namespace

int64_t fit_window(int64_t side, int64_t wanted) {
  for (int64_t window = wanted; window < side; ++window)
    if (side % window == 0) return window;
  return side;
}

namespace {

// Parameters, and multiplications for one picture, as if every layer had the size of the largest:
// no count that is made of a network exceeds them.
struct Bounds {
  double parameters, macs;
};

Bounds bounds_of(const NetworkSpec& spec, const ModelOptions& options) {
  const std::string& pattern = pattern_for(spec, options);
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  const auto last = static_cast<size_t>(std::ranges::count(pattern, '.'));
  const double blocks = 2 + static_cast<double>(pattern.size());  // with stem and head
  const double inner = number(per_stage(spec.widths, last, 2));
  const double width = inner * (spec.bottleneck ? 4 : 1);
  const double groups = std::max(1.0, number(spec.groups * spec.group_width) / 64);
  const double attended =
      std::max(inner, number(per_stage(spec.heads, last, 2)) * number(spec.head_dim));
  const double side = number(options.image_size);
  const double map = side * side / (options.begins_small() ? 1 : 16);
  const double depthwise = number(spec.kernel * spec.kernel) * inner;
  const double layer = 9 * width * width * groups + 4 * width * attended + depthwise;
  const bool attends = has_letter(pattern, "MWSUB");
  const double scope = number(spec.lambda_window * spec.lambda_window);
  const double reach = spec.lambda_window > 0 ? std::min(scope, map) : map;
  const double lambda = number(spec.lambda_depth * spec.lambda_intra) * inner * (3 + reach);
  const double stem = 49 * 3 * width, head = width * number(options.classes);
  return {blocks * (layer + stem + head),
          blocks * (map * (layer + (attends ? 2 * map * attended : 0) + lambda) +
                    stem * side * side + head)};
}

void check_lambda_heads(const NetworkSpec& spec, const std::string& pattern) {
  const std::vector<std::string> words = split_pattern(pattern);
  for (size_t s = 0; s < words.size(); ++s) {
    const int64_t width = per_stage(spec.widths, s, 2);
    if (has_letter(words[s], "L") && width % spec.lambda_heads != 0)
      throw UsageError(concat_text("pattern ", pattern, ": ", spec.lambda_heads,
                                   " lambda heads do not divide the ", width, " channels of stage ",
                                   s + 1, "; choose another h or width"));
  }
}

}  // namespace

std::unique_ptr<Model> make_network(const std::string& name, const NetworkSpec& spec,
                                    const ModelOptions& options) {
  const std::string& used = pattern_for(spec, options);
  if (!spec.preactivation && has_letter(used, "M"))
    throw UsageError(concat_text("pattern ", used,
                                 ": M blocks need a pre-activation trunk; leave out \"postact\", "
                                 "or take W"));
  check_lambda_heads(spec, used);
  const Bounds bounds = bounds_of(spec, options);
  if (bounds.parameters > 0x1p56 || bounds.macs > 0x1p62)
    throw UsageError(concat_text("model ", name, ": with ", options.classes, " classes on ",
                                 options.image_size, " x ", options.image_size,
                                 " pixels it is larger than can be counted; choose a smaller "
                                 "width, heads or head_dim"));
  return std::make_unique<HybridNetwork>(name, spec, options);
}

Architecture architecture_of(const NetworkSpec& spec) {
  return {.family = spec.family,
          .make = [spec](const std::string& name,
                         const ModelOptions& given) { return make_network(name, spec, given); },
          .chooses_stem = !spec.cifar_stem};
}

}  // namespace passband
