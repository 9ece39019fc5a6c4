// Mixers of places, one class for each letter.
#include "models/mixers.h"

#include <algorithm>

#include "models/block_parts.h"
#include "models/pattern.h"
#include "nn/attention.h"
#include "nn/hydra.h"
#include "nn/lambda.h"
#include "nn/relative_attention.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// The site of what a mixer shows: the map it works on.
TapSite site_of(const MixerPlan& plan) {
  TapSite site = {
      .kind = kind_of(plan.letter), .height = plan.grid.height, .width = plan.grid.width};
  site.patch = plan.patch;
  return site;
}

// Mixers that work at the incoming resolution.
class PooledMixer : public Mixer {
 public:
  explicit PooledMixer(const MixerPlan& plan) : stride_(plan.stride), site_(site_of(plan)) {}

  Tensor operator()(const Tensor& x) const final {
    const Tensor y = mix(x);
    return stride_ == 1 ? y : avg_pool2d(y, {.kernel = 3, .stride = stride_, .padding = 1});
  }

 protected:
  virtual Tensor mix(const Tensor& x) const = 0;
  const TapSite& site() const { return site_; }

 private:
  int64_t stride_;
  TapSite site_;
};

// C: 3x3, in groups for ResNeXt. D: a large kernel over each channel by itself (ConvNeXt, Liu et
// al. 2022: 7x7; RepLKNet, Ding et al. 2022: 31x31).
class Convolution final : public Mixer {
 public:
  Convolution(const MixerPlan& plan, const NetworkSpec& spec)
      : conv_(make_conv(plan.scope / "conv2", spec, plan.width, plan.width, plan.grid,
                        {.kernel = plan.letter == 'D' ? spec.kernel : 3,
                         .stride = plan.stride,
                         .groups = plan.letter == 'D' ? plan.width : plan.groups})) {}

  Tensor operator()(const Tensor& x) const override { return conv_(x); }

 private:
  Conv2d conv_;
};

class Lambda final : public PooledMixer {
 public:
  Lambda(const MixerPlan& plan, const NetworkSpec& spec)
      : PooledMixer(plan),
        layer_(plan.scope / "conv2", plan.width, plan.grid,
               {spec.lambda_heads, spec.lambda_depth, spec.lambda_intra, spec.lambda_window,
                conv_init(spec, projected(plan, spec), 1)}) {}

 private:
  static int64_t projected(const MixerPlan& plan, const NetworkSpec& spec) {
    return spec.lambda_heads * spec.lambda_depth +
           spec.lambda_intra * (spec.lambda_depth + plan.width / spec.lambda_heads);
  }
  Tensor mix(const Tensor& x) const override { return layer_(x, site()); }

  LambdaLayer layer_;
};

// Heads of `depth` channels, or a little more where these do not divide the width.
int64_t heads_in(int64_t width, int64_t depth) {
  int64_t heads = std::max<int64_t>(1, width / depth);
  while (width % heads != 0) --heads;
  return heads;
}

// W, and S with the windows shifted by half of one: Swin's attention (Liu et al. 2021), a table of
// relative positions for each head. U: the parallel block, heads of head_dim channels that share
// the width, with a depthwise convolution beside them.
class Windows final : public PooledMixer {
 public:
  Windows(const MixerPlan& plan, const NetworkSpec& spec)
      : PooledMixer(plan),
        attn_(plan.scope / "attn", plan.width, plan.width, plan.grid, options(plan, spec)) {}

 private:
  static WindowAttention::Options options(const MixerPlan& plan, const NetworkSpec& spec) {
    const MixerWindows windows = windows_of(plan, spec);
    WindowAttention::Options result{.heads = plan.heads,
                                    .head_dim = spec.head_dim,
                                    .window = windows.side,
                                    .shift = windows.shift,
                                    .bias_per_head = true,
                                    .qkv_bias = true};
    if (plan.letter == 'U') {
      result.heads = heads_in(plan.width, spec.head_dim);
      result.head_dim = plan.width / result.heads;
      result.kernel = spec.kernel;
    }
    return result;
  }
  Tensor mix(const Tensor& x) const override { return attn_(x, site()); }

  WindowAttention attn_;
};

class RelativePositions final : public PooledMixer {
 public:
  RelativePositions(const MixerPlan& plan, const NetworkSpec& spec)
      : PooledMixer(plan), attn_(plan.scope / "attn", plan.width, plan.grid, options(plan, spec)) {}

 private:
  static RelativeAttention::Options options(const MixerPlan& plan, const NetworkSpec& spec) {
    const int64_t heads = heads_in(plan.width, spec.head_dim);
    return {.heads = heads, .head_dim = plan.width / heads};
  }
  Tensor mix(const Tensor& x) const override { return attn_(x, site()); }

  RelativeAttention attn_;
};

// Hydra attention over all places of the map.
class Hydra final : public PooledMixer {
 public:
  explicit Hydra(const MixerPlan& plan)
      : PooledMixer(plan), attn_(plan.scope / "attn", plan.width, {.tokens = plan.grid.pixels()}) {}

 private:
  Tensor mix(const Tensor& x) const override {
    const Shape tokens{x.size(0), x.size(1) * x.size(2), x.size(3)};
    return reshape(attn_(reshape(x, tokens), site()), x.shape());
  }

  HydraAttention attn_;
};

// PoolFormer's mixer (Yu et al. 2022): what the neighbourhood's mean adds to the pixel itself.
class PoolMixer final : public PooledMixer {
 public:
  PoolMixer(const MixerPlan& plan, const NetworkSpec& spec) : PooledMixer(plan), side_(spec.pool) {}

 private:
  Tensor mix(const Tensor& x) const override {
    const PoolOptions options{
        .kernel = side_, .stride = 1, .padding = side_ / 2, .count_include_pad = false};
    return avg_pool2d(x, options) - x;
  }

  int64_t side_;
};

class Identity final : public PooledMixer {
 public:
  using PooledMixer::PooledMixer;

 private:
  Tensor mix(const Tensor& x) const override { return x; }
};

}  // namespace

MixerWindows windows_of(const MixerPlan& plan, const NetworkSpec& spec) {
  if (!has_letter("WSU", {&plan.letter, 1})) return {};
  MixerWindows windows{.side = fit_window(plan.grid.height, plan.window)};
  // A window of the whole map has nothing to shift to.
  if (plan.letter == 'S' && windows.side < plan.grid.height)
    windows.shift = spec.shift ? spec.shift % windows.side : windows.side / 2;
  return windows;
}

std::unique_ptr<Mixer> make_mixer(const MixerPlan& plan, const NetworkSpec& spec) {
  switch (plan.letter) {
    case 'L': return std::make_unique<Lambda>(plan, spec);
    case 'W':
    case 'S':
    case 'U': return std::make_unique<Windows>(plan, spec);
    case 'B': return std::make_unique<RelativePositions>(plan, spec);
    case 'H': return std::make_unique<Hydra>(plan);
    case 'P': return std::make_unique<PoolMixer>(plan, spec);
    case 'I': return std::make_unique<Identity>(plan);
    default: return std::make_unique<Convolution>(plan, spec);
  }
}

}  // namespace passband
