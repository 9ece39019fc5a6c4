// Residual blocks: post-activation (ResNet, LambdaResNet), pre-activation, and the self-attention
// block of AlterNet.
#include "models/blocks.h"

#include <optional>

#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/lambda.h"
#include "nn/linearise.h"
#include "nn/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Post-activation trunks start as torchvision's ResNets, pre-activation ones as Park and Kim's:
// PyTorch's default.
std::optional<Init> conv_init(const NetworkSpec& spec, int64_t out, int64_t kernel) {
  if (spec.preactivation) return {};
  return Init::fan_out_normal(out * kernel * kernel);
}

Conv2d make_conv(const Scope& scope, const NetworkSpec& spec, int64_t in, int64_t out, Grid grid,
                 Conv2dOptions options) {
  options.weight_init = conv_init(spec, out, options.kernel);
  return {scope, in, out, grid, options};
}

// The 3x3 convolution of a block, or the lambda layer in its place. A lambda layer works at the
// incoming resolution; an average pool follows where the block has a stride (as published).
struct Spatial {
  Spatial(const Scope& scope, const NetworkSpec& spec, const BlockPlan& plan, int64_t in,
          int64_t out, Grid grid, int64_t stride, bool grouped)
      : stride(stride) {
    if (plan.letter == 'L') {
      const int64_t projected = spec.lambda_heads * spec.lambda_depth +
                                spec.lambda_intra * (spec.lambda_depth + out / spec.lambda_heads);
      lambda.emplace(scope, out, grid,
                     LambdaLayer::Options{spec.lambda_heads, spec.lambda_depth, spec.lambda_intra,
                                          spec.lambda_window, conv_init(spec, projected, 1)});
      site = {.kind = BlockKind::lambda, .height = grid.height, .width = grid.width};
      site.patch =
          plan.patch * static_cast<double>(plan.grid.height) / static_cast<double>(grid.height);
    } else {
      conv.emplace(make_conv(scope, spec, in, out, grid,
                             {.kernel = 3, .stride = stride, .groups = grouped ? spec.groups : 1}));
    }
  }

  Tensor operator()(const Tensor& x) const {
    if (conv) return (*conv)(x);
    const Tensor y = (*lambda)(x, site);
    return stride == 1 ? y : avg_pool2d(y, {.kernel = 3, .stride = stride, .padding = 1});
  }

  std::optional<Conv2d> conv;
  std::optional<LambdaLayer> lambda;
  int64_t stride;
  TapSite site;
};

// Channels of the inner convolutions: ResNeXt widens the 3x3 and splits it into groups.
int64_t inner_width(const BlockPlan& plan, const NetworkSpec& spec) {
  return spec.bottleneck && plan.letter == 'C' ? plan.width * spec.group_width / 64 * spec.groups
                                               : plan.width;
}

bool changes_shape(const BlockPlan& plan) { return plan.stride != 1 || plan.in != plan.out; }

// 1x1 convolution and norm on the shortcut. ResNet-RS pools before it instead of striding; index 0
// is the pool then.
struct Shortcut {
  Shortcut(const BlockPlan& plan, const NetworkSpec& spec)
      : pooled(spec.resnet_rs && plan.stride > 1),
        stride(plan.stride),
        conv(make_conv(plan.scope / "downsample" / (spec.resnet_rs ? "1" : "0"), spec, plan.in,
                       plan.out, pooled ? plan.grid.strided(3, plan.stride, 1) : plan.grid,
                       {.kernel = 1, .stride = pooled ? 1 : plan.stride})),
        norm(plan.scope / "downsample" / (spec.resnet_rs ? "2" : "1"), plan.out) {}

  Tensor operator()(const Tensor& x) const {
    if (!pooled) return norm(conv(x));
    return norm(conv(avg_pool2d(
        x, {.kernel = 2, .stride = stride, .ceil_mode = true, .count_include_pad = false})));
  }

  bool pooled;
  int64_t stride;
  Conv2d conv;
  BatchNorm norm;
};

// The shortcut of a post-activation block: the input where the shape stays.
class Skip {
 public:
  Skip(const BlockPlan& plan, const NetworkSpec& spec)
      : stride_(plan.stride), wider_(plan.out - plan.in), changes_(changes_shape(plan)) {
    if (changes_ && !spec.padded_shortcuts) projection_.emplace(plan, spec);
  }

  Tensor operator()(const Tensor& x) const {
    if (!changes_) return x;
    if (projection_) return (*projection_)(x);
    const Tensor kept = stride_ == 1 ? x : avg_pool2d(x, {.kernel = 1, .stride = stride_});
    return pad(kept, 3, wider_ / 2, wider_ - wider_ / 2);
  }

 private:
  int64_t stride_, wider_;
  bool changes_;
  std::optional<Shortcut> projection_;
};

// He et al. 2016a with the stride in the 3x3. Basic: 3x3, 3x3; bottleneck: 1x1, 3x3, 1x1; the norm
// of the last one takes the sum and the final ReLU along. An L block replaces the 3x3 (the second
// one of a basic block).
class PostActivationBlock final : public Block {
 public:
  PostActivationBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan),
        inner_(inner_width(plan, spec)),
        middle_(spec.bottleneck ? plan.grid : plan.grid.strided(3, plan.stride, 1)),
        conv1_(make_conv(
            plan.scope / "conv1", spec, plan.in, inner_, plan.grid,
            {.kernel = spec.bottleneck ? 1 : 3, .stride = spec.bottleneck ? 1 : plan.stride})),
        bn1_(plan.scope / "bn1", inner_),
        conv2_(plan.scope / "conv2", spec, plan, inner_, inner_, middle_,
               spec.bottleneck ? plan.stride : 1, spec.bottleneck),
        bn2_(plan.scope / "bn2", inner_, !spec.bottleneck && spec.zero_last_gamma ? 0 : 1),
        skip_(plan, spec) {
    const Grid out{site_.height, site_.width};
    if (spec.bottleneck) {
      conv3_.emplace(make_conv(plan.scope / "conv3", spec, inner_, plan.out, out, {.kernel = 1}));
      bn3_.emplace(plan.scope / "bn3", plan.out, spec.zero_last_gamma ? 0 : 1);
    }
    if (spec.resnet_rs && plan.letter == 'C')
      se_.emplace(plan.scope / "se", plan.out, plan.out / 4);
  }

  Tensor operator()(const Tensor& x) const override {
    ScopeGuard guard(name_);
    const Tensor skip = skip_(x);
    Tensor y = conv2_(bn1_.relu(conv1_(x)));
    if (conv3_) y = (*conv3_)(bn2_.relu(y));
    const BatchNorm& last = bn3_ ? *bn3_ : bn2_;
    const bool dropping = DropPath{drop_path_}.active();
    if (!se_ && !dropping && !tapped("branch") && !tapped("skip"))
      return tap("out", last.relu(y, skip), site_);
    y = last(y);
    if (se_) y = (*se_)(y);
    return tap("out", relu(add_branch(y, skip)), site_);
  }

 private:
  int64_t inner_;
  Grid middle_;
  Conv2d conv1_;
  BatchNorm bn1_;
  Spatial conv2_;
  BatchNorm bn2_;
  Skip skip_;
  std::optional<Conv2d> conv3_;
  std::optional<BatchNorm> bn3_;
  std::optional<SqueezeExcite> se_;
};

// He et al. 2016b: every convolution is preceded by BN-ReLU. A shortcut that changes shape is a
// bare 1x1 convolution of the normalised input; an identity is taken before the norm.
class PreActivationBlock final : public Block {
 public:
  PreActivationBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan),
        inner_(inner_width(plan, spec)),
        middle_(spec.bottleneck ? plan.grid : plan.grid.strided(3, plan.stride, 1)),
        norm1_(plan.scope / "norm1", plan.in),
        conv1_(make_conv(
            plan.scope / "conv1", spec, plan.in, inner_, plan.grid,
            {.kernel = spec.bottleneck ? 1 : 3, .stride = spec.bottleneck ? 1 : plan.stride})),
        norm2_(plan.scope / "norm2", inner_),
        conv2_(plan.scope / "conv2", spec, plan, inner_, inner_, middle_,
               spec.bottleneck ? plan.stride : 1, spec.bottleneck) {
    if (spec.bottleneck) {
      norm3_.emplace(plan.scope / "norm3", inner_);
      conv3_.emplace(make_conv(plan.scope / "conv3", spec, inner_, plan.out,
                               {site_.height, site_.width}, {.kernel = 1}));
    }
    if (changes_shape(plan))
      shortcut_.emplace(make_conv(plan.scope / "downsample" / "conv", spec, plan.in, plan.out,
                                  plan.grid, {.kernel = 1, .stride = plan.stride}));
  }

  Tensor operator()(const Tensor& x) const override {
    ScopeGuard guard(name_);
    const Tensor active = norm1_.relu(x);
    const Tensor skip = shortcut_ ? (*shortcut_)(active) : x;
    Tensor y = conv2_(norm2_.relu(conv1_(active)));
    if (!conv3_) return tap("out", add_branch(y, skip), site_);
    y = norm3_->relu(y);
    const bool dropping = DropPath{drop_path_}.active();
    if (!dropping && !tapped("branch") && !tapped("skip"))
      return tap("out", (*conv3_)(y, skip), site_);
    return tap("out", add_branch((*conv3_)(y), skip), site_);
  }

 private:
  int64_t inner_;
  Grid middle_;
  BatchNorm norm1_;
  Conv2d conv1_;
  BatchNorm norm2_;
  Spatial conv2_;
  std::optional<BatchNorm> norm3_;
  std::optional<Conv2d> conv3_;
  std::optional<Conv2d> shortcut_;
};

// Park and Kim 2022, the pre-activation MSA block: x + attention(BN(conv1x1(GELU(BN(x))))). Where
// the block changes the shape (an M that opens a stage; never in AlterNet itself) the 1x1
// convolutions of branch and shortcut carry the stride.
class AttentionBlock final : public Block {
 public:
  AttentionBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan),
        norm1_(plan.scope / "norm1", plan.in),
        conv1_(make_conv(plan.scope / "conv1", spec, plan.in, plan.width, plan.grid,
                         {.kernel = 1, .stride = plan.stride})),
        norm2_(plan.scope / "norm2", plan.width),
        attn_(plan.scope / "attn", plan.width, plan.out, conv1_.out_grid,
              {.heads = plan.heads, .head_dim = spec.head_dim, .window = plan.window}) {
    if (changes_shape(plan))
      shortcut_.emplace(make_conv(plan.scope / "downsample" / "conv", spec, plan.in, plan.out,
                                  plan.grid, {.kernel = 1, .stride = plan.stride}));
  }

  Tensor operator()(const Tensor& x) const override {
    ScopeGuard guard(name_);
    const Tensor active = gelu_gate(norm1_(x));
    const Tensor skip = shortcut_ ? (*shortcut_)(active) : x;
    const Tensor y = attn_(norm2_(conv1_(active)), site_);
    return tap("out", add_branch(y, skip), site_);
  }

 private:
  BatchNorm norm1_;
  Conv2d conv1_;
  BatchNorm norm2_;
  WindowAttention attn_;
  std::optional<Conv2d> shortcut_;
};

BlockKind kind_of(char letter) {
  return letter == 'M' ? BlockKind::msa : letter == 'L' ? BlockKind::lambda : BlockKind::conv;
}

}  // namespace

Block::Block(const BlockPlan& plan) : name_(plan.scope.path()), drop_path_(plan.drop_path) {
  const Grid out = plan.grid.strided(1, plan.stride, 0);
  site_.kind = kind_of(plan.letter);
  site_.height = out.height;
  site_.width = out.width;
  site_.window = plan.letter == 'M' ? plan.window : 0;
  site_.patch = plan.patch * static_cast<double>(plan.stride);
  site_.subsamples = plan.stride > 1;
}

Tensor Block::add_branch(const Tensor& branch, const Tensor& skip) const {
  const Tensor shown = tap("branch", branch, site_);
  return tap("skip", skip, site_) + DropPath{drop_path_}(shown);
}

std::unique_ptr<Block> make_block(const BlockPlan& plan, const NetworkSpec& spec) {
  if (plan.letter == 'M') return std::make_unique<AttentionBlock>(plan, spec);
  if (spec.preactivation) return std::make_unique<PreActivationBlock>(plan, spec);
  return std::make_unique<PostActivationBlock>(plan, spec);
}

}  // namespace passband
