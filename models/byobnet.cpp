// timm's ResNets with attention or lambda layers: blocks, trunk, names.
#include "models/byobnet.h"

#include <cmath>

#include "models/blocks.h"
#include "models/named_spec.h"
#include "models/network.h"
#include "models/pattern.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/lambda.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/relative_attention.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"

namespace passband {
namespace {

struct ByobSpec {
  std::string family, pattern;
  int64_t scope = 0;  // of lambda layers; 0 = global
};

const std::vector<NamedSpec<ByobSpec>>& byobnets() {
  static const std::vector<NamedSpec<ByobSpec>> rows = {
      {"lambda_resnet26t", {"lambda_resnet", "CC.CC.CL.LL", 9}},
      {"lambda_resnet26rpt_256", {"lambda_resnet", "CC.CC.CL.LL", 0}},
      {"botnet26t_256", {"alternet", "CC.CC.CB.BB"}},
  };
  return rows;
}

// Convolution and norm of one name: NAME.conv, NAME.bn.
struct ConvNorm {
  ConvNorm(const Scope& scope, int64_t in, int64_t out, Grid grid, int64_t kernel, int64_t stride,
           double gamma = 1)
      : conv(scope / "conv", in, out, grid,
             {.kernel = kernel,
              .stride = stride,
              .weight_init = Init::fan_out_normal(out * kernel * kernel)}),
        bn(scope / "bn", out, gamma),
        name(scope.name()) {}

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name);
    return bn(conv(x));
  }
  Tensor relu(const Tensor& x) const {
    ScopeGuard guard(name);
    return bn.relu(conv(x));
  }

  Conv2d conv;
  BatchNorm bn;
  std::string name;
};

Init inverse_root(int64_t depth) {
  return Init::truncated_normal(1 / std::sqrt(static_cast<double>(depth)));
}

constexpr int64_t kHeads = 4, kLambdaDepth = 16;

LambdaLayer::Options lambda_options(int64_t width, int64_t scope) {
  return {.heads = kHeads,
          .depth = kLambdaDepth,
          .window = scope,
          .qkv_init = inverse_root(width),
          .embedding_init = scope > 0 ? inverse_root(kLambdaDepth) : Init::truncated_normal(0.02),
          .timm_names = true};
}

// A bottleneck whose 3x3 may be a lambda layer or attention; these work at the incoming resolution,
// and the mean of 2x2 pixels follows where the block has a stride.
class ByobBlock final : public Block {
 public:
  ByobBlock(const BlockPlan& plan, int64_t scope)
      : Block(plan, {}),
        stride_(plan.stride),
        conv1_(plan.scope / "conv1_1x1", plan.in, plan.width, plan.grid, 1, 1),
        conv3_(plan.scope / "conv3_1x1", plan.width, plan.out, out_grid(), 1, 1, 0) {
    inner_ = site_;
    inner_.height = plan.grid.height;
    inner_.width = plan.grid.width;
    inner_.patch = plan.patch;
    if (plan.letter == 'C')
      conv2_.emplace(plan.scope / "conv2_kxk", plan.width, plan.width, plan.grid, 3, plan.stride);
    else post_attn_.emplace(plan.scope / "post_attn", plan.width);
    const Scope attn = plan.scope / "self_attn";
    if (plan.letter == 'L')
      lambda_.emplace(attn, plan.width, plan.grid, lambda_options(plan.width, scope));
    if (plan.letter == 'B')
      attention_.emplace(attn, plan.width, plan.grid,
                         RelativeAttention::Options{kHeads, plan.width / kHeads});
    if (plan.stride != 1 || plan.in != plan.out)
      shortcut_.emplace(plan.scope / "shortcut", plan.in, plan.out, plan.grid, 1, plan.stride);
  }

  Tensor operator()(const Tensor& x) const override {
    ScopeGuard guard(name_);
    const Tensor skip = shortcut_ ? (*shortcut_)(x) : x;
    const Tensor y = conv3_(mix(conv1_.relu(x)));
    return tap("out", relu(add_branch(y, skip)), site_);
  }

 private:
  Grid out_grid() const { return {site_.height, site_.width}; }

  Tensor mix(const Tensor& x) const {
    if (conv2_) return conv2_->relu(x);
    ScopeGuard guard("self_attn");
    const Tensor y = lambda_ ? (*lambda_)(x, inner_) : (*attention_)(x, inner_);
    return post_attn_->relu(stride_ == 1 ? y
                                         : avg_pool2d(y, {.kernel = 2,
                                                          .stride = stride_,
                                                          .ceil_mode = true,
                                                          .count_include_pad = false}));
  }

  int64_t stride_;
  TapSite inner_;  // of the map that the mixer works on
  ConvNorm conv1_, conv3_;
  std::optional<ConvNorm> conv2_, shortcut_;
  std::optional<LambdaLayer> lambda_;
  std::optional<RelativeAttention> attention_;
  std::optional<BatchNorm> post_attn_;
};

class ByobNetwork final : public Model {
 public:
  ByobNetwork(const std::string& name, const ByobSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = spec.family;
    pattern_ = spec.pattern;
    options_ = options;
    const Scope root(store_);
    const Grid grid = add_stem(root / "stem");
    const int64_t channels = add_stages(root / "stages", spec, grid);
    fc_.emplace(root / "head" / "fc", channels, options.classes,
                LinearOptions{.weight_init = Init::normal(0.01), .bias_init = Init::constant(0)});
    macs_ = store_.macs();
  }

 private:
  Grid add_stem(const Scope& scope) {
    const int64_t side = options_.image_size;
    pools_ = !options_.begins_small();
    Grid grid{side, side};
    int64_t channels = 3, index = 1;
    for (const int64_t width : {24, 32, 64}) {
      const int64_t stride = pools_ && index == 1 ? 2 : 1;
      stem_.emplace_back(scope / concat_text("conv", index++), channels, width, grid, 3, stride);
      grid = stem_.back().conv.out_grid;
      channels = width;
    }
    if (pools_) grid = grid.strided(3, 2, 1);
    site_ = {.kind = BlockKind::stem, .height = grid.height, .width = grid.width};
    site_.patch = static_cast<double>(side) / static_cast<double>(grid.height);
    site_.subsamples = pools_;
    return grid;
  }

  // Returns the channels of the last stage.
  int64_t add_stages(const Scope& scope, const ByobSpec& spec, Grid grid) {
    const std::vector<std::string> words = split_pattern(spec.pattern);
    int64_t channels = 64, width = 64;
    double patch = site_.patch;
    for (size_t s = 0; s < words.size(); ++s, width *= 2)
      for (size_t b = 0; b < words[s].size(); ++b) {
        BlockPlan plan{.scope = scope / std::to_string(s) / std::to_string(b),
                       .letter = words[s][b],
                       .in = channels,
                       .out = 4 * width,
                       .width = width,
                       .stride = s > 0 && b == 0 ? 2 : 1,
                       .grid = grid,
                       .patch = patch};
        plan.drop_path =
            drop_path_at(options_.drop_path, std::ssize(blocks_), 2 * std::ssize(words));
        blocks_.emplace_back(plan, spec.scope);
        const TapSite& site = blocks_.back().site();
        branches_.push_back(site.kind);
        channels = plan.out;
        grid = {site.height, site.width};
        patch = site.patch;
      }
    return channels;
  }

  Tensor stem(const Tensor& images) const {
    ScopeGuard guard("stem");
    Tensor x = images;
    for (const ConvNorm& layer : stem_) x = layer.relu(x);
    if (pools_) x = max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1});
    return tap("out", x, site_);
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = stem(images);  // (N, H, W, C)
    for (const ByobBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    const Tensor features = tap("features", global_avg_pool(x), {.kind = BlockKind::head});
    return (*fc_)(Dropout{options_.dropout}(features));
  }

  bool pools_ = false;
  std::vector<ConvNorm> stem_;
  TapSite site_;  // of the stem's output
  std::vector<ByobBlock> blocks_;
  std::optional<Linear> fc_;
};

std::optional<Architecture> find_byobnet(const std::string& name) {
  const std::optional<ByobSpec> spec = find_spec(byobnets(), name);
  auto found = architecture<ByobNetwork>(spec ? spec->family : "", spec);
  if (found) found->chooses_stem = true;
  return found;
}

std::vector<std::string> byobnet_names() { return names_of(byobnets()); }

}  // namespace

ModelFamily byobnet_family() { return {find_byobnet, byobnet_names}; }

}  // namespace passband
