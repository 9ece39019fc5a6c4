// Parts of residual blocks.
#include "models/block_parts.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"

namespace passband {
namespace {

constexpr int64_t kGroups = 32;  // of BiT's group norms

std::variant<BatchNorm, GroupNorm> make_norm(const Scope& scope, int64_t channels, bool groups) {
  if (groups) return GroupNorm(scope, channels, channels % kGroups == 0 ? kGroups : 1);
  return BatchNorm(scope, channels);
}

}  // namespace

std::optional<Init> conv_init(const NetworkSpec& spec, int64_t out, int64_t kernel) {
  if (spec.preactivation) return {};
  return Init::fan_out_normal(out * kernel * kernel);
}

Conv2d make_conv(const Scope& scope, const NetworkSpec& spec, int64_t in, int64_t out, Grid grid,
                 Conv2dOptions options) {
  const bool depthwise = options.groups == out;
  options.weight_init = conv_init(spec, depthwise ? 1 : out, options.kernel);
  options.standardised = spec.bit;
  return {scope, in, out, grid, options};
}

int64_t inner_width(const BlockPlan& plan, const NetworkSpec& spec) {
  return spec.bottleneck && plan.letter == 'C' ? plan.width * spec.group_width / 64 * spec.groups
                                               : plan.width;
}

MixerPlan mixer_plan(const BlockPlan& plan, const NetworkSpec& spec) {
  MixerPlan result{.scope = plan.scope,
                   .letter = plan.letter,
                   .width = inner_width(plan, spec),
                   .heads = plan.heads,
                   .window = plan.window,
                   .grid = plan.grid,
                   .patch = plan.patch};
  if (spec.bottleneck) {
    result.stride = plan.stride;
    result.groups = spec.groups;
  } else {
    result.grid = plan.grid.strided(3, plan.stride, 1);
    result.patch *= static_cast<double>(plan.grid.height) / static_cast<double>(result.grid.height);
  }
  return result;
}

bool changes_shape(const BlockPlan& plan) { return plan.stride != 1 || plan.in != plan.out; }

bool pools(const BlockPlan& plan, const NetworkSpec& spec) {
  return spec.pooled && !spec.bottleneck && plan.stride == 2;
}

Tensor halved_by_maximum(const Tensor& x) {
  return max_pool2d(x, {.kernel = 2, .stride = 2, .ceil_mode = true});
}

Tensor halved_by_mean(const Tensor& x) {
  return avg_pool2d(x, {.kernel = 2, .stride = 2, .ceil_mode = true, .count_include_pad = false});
}

Conv2d make_first_conv(const BlockPlan& plan, const NetworkSpec& spec) {
  const bool steps = !spec.bottleneck && !pools(plan, spec);
  return make_conv(plan.scope / "conv1", spec, plan.in, inner_width(plan, spec), plan.grid,
                   {.kernel = spec.bottleneck ? 1 : 3, .stride = steps ? plan.stride : 1});
}

TrunkNorm::TrunkNorm(const Scope& scope, int64_t channels, const NetworkSpec& spec)
    : norm_(make_norm(scope, channels, spec.bit)) {}

Tensor TrunkNorm::relu(const Tensor& x) const {
  if (const auto* batch = std::get_if<BatchNorm>(&norm_)) return batch->relu(x);
  return passband::relu(std::get<GroupNorm>(norm_)(x));
}

}  // namespace passband
