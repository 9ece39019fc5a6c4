// Pre-activation blocks, and the self-attention block of AlterNet.
#include "models/block_parts.h"
#include "nn/attention.h"
#include "nn/drop.h"
#include "nn/linearise.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

// He et al. 2016b: every convolution is preceded by BN-ReLU. A shortcut that changes shape is a
// bare 1x1 convolution of the normalised input; an identity is taken before the norm.
class PreActivationBlock final : public Block {
 public:
  PreActivationBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan, spec),
        inner_(inner_width(plan, spec)),
        norm1_(plan.scope / "norm1", plan.in, spec),
        pools_(pools(plan, spec)),
        conv1_(make_first_conv(plan, spec)),
        norm2_(plan.scope / "norm2", inner_, spec),
        conv2_(make_mixer(mixer_plan(plan, spec), spec)) {
    if (spec.bottleneck) {
      norm3_.emplace(plan.scope / "norm3", inner_, spec);
      conv3_.emplace(make_conv(plan.scope / "conv3", spec, inner_, plan.out,
                               {site_.height, site_.width}, {.kernel = 1}));
    }
    if (changes_shape(plan))
      shortcut_.emplace(make_conv(plan.scope / "downsample" / "conv", spec, plan.in, plan.out,
                                  pools_ ? plan.grid.strided(3, 2, 1) : plan.grid,
                                  {.kernel = 1, .stride = pools_ ? 1 : plan.stride}));
  }

  Tensor operator()(const Tensor& x) const override {
    ScopeGuard guard(name_);
    const Tensor active = norm1_.relu(x);
    const Tensor skip = shortcut_ ? (*shortcut_)(pools_ ? halved_by_mean(active) : active) : x;
    Tensor y = conv1_(active);
    if (pools_) y = halved_by_maximum(y);
    y = (*conv2_)(norm2_.relu(y));
    if (!conv3_) return tap("out", add_branch(y, skip), site_);
    y = norm3_->relu(y);
    const bool dropping = DropPath{drop_path_}.active();
    if (!dropping && !tapped("branch") && !tapped("skip"))
      return tap("out", (*conv3_)(y, skip), site_);
    return tap("out", add_branch((*conv3_)(y), skip), site_);
  }

 private:
  int64_t inner_;
  TrunkNorm norm1_;
  bool pools_;
  Conv2d conv1_;
  TrunkNorm norm2_;
  std::unique_ptr<Mixer> conv2_;
  std::optional<TrunkNorm> norm3_;
  std::optional<Conv2d> conv3_;
  std::optional<Conv2d> shortcut_;
};

// Park and Kim 2022, the pre-activation MSA block: x + attention(BN(conv1x1(GELU(BN(x))))). Where
// the block changes the shape (an M that opens a stage; never in AlterNet itself) the 1x1
// convolutions of branch and shortcut carry the stride.
class AttentionBlock final : public Block {
 public:
  AttentionBlock(const BlockPlan& plan, const NetworkSpec& spec)
      : Block(plan, spec),
        norm1_(plan.scope / "norm1", plan.in),
        conv1_(make_conv(plan.scope / "conv1", spec, plan.in, plan.width, plan.grid,
                         {.kernel = 1, .stride = plan.stride})),
        norm2_(plan.scope / "norm2", plan.width),
        attn_(plan.scope / "attn", plan.width, plan.out, conv1_.out_grid,
              {.heads = plan.heads,
               .head_dim = spec.head_dim,
               .window = fit_window(conv1_.out_grid.height, plan.window)}) {
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

}  // namespace

std::unique_ptr<Block> make_preactivation_block(const BlockPlan& plan, const NetworkSpec& spec) {
  if (plan.letter == 'M') return std::make_unique<AttentionBlock>(plan, spec);
  return std::make_unique<PreActivationBlock>(plan, spec);
}

}  // namespace passband
