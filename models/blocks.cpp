// Residual blocks: what all share, and the post-activation block (ResNet, LambdaResNet).
#include "models/blocks.h"

#include "models/block_parts.h"
#include "models/pattern.h"
#include "nn/drop.h"
#include "nn/linear.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// 1x1 convolution and norm on the shortcut. ResNet-RS pools before it instead of striding, index 0
// is the pool then, and so do blocks that pool.
struct Shortcut {
  Shortcut(const BlockPlan& plan, const NetworkSpec& spec)
      : pooled((spec.resnet_rs && plan.stride > 1) || pools(plan, spec)),
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
// of the last one takes the sum and the final ReLU along. Other letters replace the 3x3 (the second
// one of a basic block).
class PostActivationBlock final : public Block {
 public:
  PostActivationBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan, spec),
        inner_(inner_width(plan, spec)),
        pools_(pools(plan, spec)),
        conv1_(make_first_conv(plan, spec)),
        bn1_(plan.scope / "bn1", inner_),
        conv2_(make_mixer(mixer_plan(plan, spec), spec)),
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
    Tensor y = conv1_(x);
    if (pools_) y = halved_by_maximum(y);
    y = (*conv2_)(bn1_.relu(y));
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
  bool pools_;
  Conv2d conv1_;
  BatchNorm bn1_;
  std::unique_ptr<Mixer> conv2_;
  BatchNorm bn2_;
  Skip skip_;
  std::optional<Conv2d> conv3_;
  std::optional<BatchNorm> bn3_;
  std::optional<SqueezeExcite> se_;
};

}  // namespace

Block::Block(const BlockPlan& plan, const NetworkSpec& spec)
    : name_(plan.scope.path()), drop_path_(plan.drop_path) {
  const Grid out = plan.grid.strided(1, plan.stride, 0);
  site_.kind = kind_of(plan.letter);
  site_.height = out.height;
  site_.width = out.width;
  const MixerPlan mixer = mixer_plan(plan, spec);
  if (plan.letter == 'M') {
    site_.window = fit_window(out.height, plan.window);
  } else if (mixer.stride == 1) {
    const MixerWindows windows = windows_of(mixer, spec);
    site_.window = windows.side;
    site_.shift = windows.shift;
  }
  site_.patch = plan.patch * static_cast<double>(plan.stride);
  site_.subsamples = plan.stride > 1;
}

Tensor Block::add_branch(const Tensor& branch, const Tensor& skip) const {
  const Tensor shown = tap("branch", branch, site_);
  return tap("skip", skip, site_) + DropPath{drop_path_}(shown);
}

std::unique_ptr<Block> make_block(const BlockPlan& plan, const NetworkSpec& spec) {
  if (spec.preactivation) return make_preactivation_block(plan, spec);
  return std::make_unique<PostActivationBlock>(plan, spec);
}

}  // namespace passband
