// Parts of residual blocks: convolutions with the initial values of their trunk, norms, shortcuts.
#pragma once
#include <optional>
#include <variant>

#include "models/blocks.h"
#include "models/mixers.h"
#include "nn/conv.h"
#include "nn/norm.h"

namespace passband {

// Post-activation trunks start as torchvision's ResNets, pre-activation ones as Park and Kim's:
// PyTorch's default (absent).
std::optional<Init> conv_init(const NetworkSpec& spec, int64_t out, int64_t kernel);

Conv2d make_conv(const Scope& scope, const NetworkSpec& spec, int64_t in, int64_t out, Grid grid,
                 Conv2dOptions options);

// Channels of the inner convolutions: ResNeXt widens the 3x3 and splits it into groups.
int64_t inner_width(const BlockPlan& plan, const NetworkSpec& spec);

// The second place of a block: in a bottleneck it has the block's stride and groups, in a basic
// block neither.
MixerPlan mixer_plan(const BlockPlan& plan, const NetworkSpec& spec);

bool changes_shape(const BlockPlan& plan);

// Whether the block halves its map by pooling (NetworkSpec::pooled).
bool pools(const BlockPlan& plan, const NetworkSpec& spec);
// The largest and the mean of each 2 x 2 places, fewer at an odd edge.
Tensor halved_by_maximum(const Tensor& x);
Tensor halved_by_mean(const Tensor& x);

// The first convolution of a block of convolutions; in one that pools, without a stride.
Conv2d make_first_conv(const BlockPlan& plan, const NetworkSpec& spec);

// The norm of a pre-activation trunk: batch norm, or BiT's group norm.
class TrunkNorm {
 public:
  TrunkNorm(const Scope& scope, int64_t channels, const NetworkSpec& spec);
  Tensor relu(const Tensor& x) const;

 private:
  std::variant<BatchNorm, GroupNorm> norm_;
};

}  // namespace passband
