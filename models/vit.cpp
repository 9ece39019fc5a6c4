// Vision transformer.
#include "models/vit.h"

#include <array>

#include "models/name_reader.h"
#include "models/transformer_block.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

struct VitSpec {
  int64_t width = 192, depth = 12, heads = 3;
  int64_t patch = 16;
  bool pooled = false;  // no class token; the classifier reads the mean over tokens
  bool qkv_bias = true;
  // block (1, 2, ...) whose MSA and MLP have no shortcut; 0: every block has both
  int64_t no_skip = 0;
};

// The small member of the family, which the quick recipe trains on CIFAR in minutes.
constexpr VitSpec kSmallVit = {.width = 128, .depth = 6, .heads = 4, .patch = 4, .pooled = true};

class VisionTransformer final : public Model {
 public:
  VisionTransformer(const std::string& name, const VitSpec& spec, const ModelOptions& options)
      : spec_(spec) {
    name_ = name;
    family_ = "vit";
    options_ = options;
    const Scope root(store_);
    const int64_t side = options.image_size / spec.patch, prefix = spec.pooled ? 0 : 1;
    site_ = {.kind = BlockKind::embedding, .height = side, .width = side, .prefix = prefix};
    site_.patch = static_cast<double>(spec.patch);

    if (!spec.pooled)
      cls_token_ = root.parameter("cls_token", {1, 1, spec.width}, Init::truncated_normal(0.02),
                                  Layout::same, false);
    pos_embed_ = root.parameter("pos_embed", {1, prefix + side * side, spec.width},
                                Init::truncated_normal(0.02), Layout::same, false);
    patch_embed_.emplace(root / "patch_embed", 3, spec.width, spec.patch,
                         Grid{options.image_size, options.image_size});
    for (int64_t i = 0; i < spec.depth; ++i)
      add_block(root / "blocks" / std::to_string(i),
                drop_path_at(options.drop_path, i, spec.depth));
    norm_.emplace(root / "norm", spec.width);
    head_.emplace(root / "head", spec.width, options.classes, transformer_init());
    macs_ = store_.macs();
  }

 private:
  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, T, D)
    for (const TransformerBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    x = (*norm_)(x);
    const Tensor read =
        spec_.pooled ? mean(x, {1}) : reshape(slice(x, 1, 0, 1), Shape{x.size(0), x.size(2)});
    const Tensor features = tap("features", read, {.kind = BlockKind::head});  // (N, D)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  void add_block(const Scope& scope, double drop_path) {
    TapSite site = site_;
    site.kind = BlockKind::msa;
    const bool has_skip = static_cast<int64_t>(blocks_.size()) + 1 != spec_.no_skip;
    blocks_.emplace_back(
        scope,
        TransformerOptions{.width = spec_.width,
                           .hidden = 4 * spec_.width,
                           .linear = transformer_init(),
                           .drop_path = drop_path,
                           .has_skip = has_skip,
                           .site = site},
        self_attention(spec_.width, spec_.heads, spec_.qkv_bias, transformer_init()));
    branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    Tensor x = (*patch_embed_)(images);  // (N, h * w, D)
    if (cls_token_)
      x = concat({expand(cls_token_->as(x.dtype()), Shape{x.size(0), 1, x.size(2)}), x}, 1);
    return tap("out", x + pos_embed_->as(x.dtype()), site_);
  }

  VitSpec spec_;
  ParameterRef cls_token_, pos_embed_;
  std::optional<PatchEmbed> patch_embed_;
  std::vector<TransformerBlock> blocks_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
  TapSite site_;
};

struct Size {
  std::string_view name;
  int64_t width, depth, heads;
};

constexpr std::array<Size, 5> kSizes = {{{"tiny", 192, 12, 3},
                                         {"small", 384, 12, 6},
                                         {"base", 768, 12, 12},
                                         {"large", 1024, 24, 16},
                                         {"huge", 1280, 32, 16}}};

// "vit_tiny_patch16", "vit_base_patch2_gap": sizes tiny, small, base, large, huge. "_gap" pools
// instead of using a class token. Queries, keys and values have a bias as in timm, except at patch
// 2, the form that Park and Kim (2022) trained on CIFAR without; "_qkvbias" and "_noqkvbias" say it
// explicitly. "_noskip7" leaves out the shortcuts of block 7, to train what Raghu et al. (2021,
// figure 8) did.
std::optional<VitSpec> sized_spec(const std::string& name) {
  std::string_view rest = name;
  if (!take_prefix(rest, "vit_")) return {};
  for (const Size& size : kSizes) {
    std::string_view tail = rest;
    if (!take_prefix(tail, size.name) || !take_prefix(tail, "_patch")) continue;
    VitSpec spec = {.width = size.width, .depth = size.depth, .heads = size.heads};
    if (!take_number(tail, spec.patch)) return {};
    spec.qkv_bias = spec.patch != 2;
    spec.pooled = take_prefix(tail, "_gap");
    if (take_prefix(tail, "_qkvbias")) spec.qkv_bias = true;
    if (take_prefix(tail, "_noqkvbias")) spec.qkv_bias = false;
    if (take_prefix(tail, "_noskip") &&
        (!take_number(tail, spec.no_skip) || spec.no_skip > spec.depth))
      return {};
    if (tail.empty()) return spec;
    return {};
  }
  return {};
}

std::optional<VitSpec> spec_of(const std::string& name) {
  if (name == "vit") return kSmallVit;
  return sized_spec(name);
}

std::optional<Architecture> find(const std::string& name) {
  const std::optional<VitSpec> spec = spec_of(name);
  if (!spec) return {};
  return Architecture{
      .family = "vit",
      .refusal = [patch = spec->patch](int64_t side) { return untiled(patch, side); },
      .make =
          [spec = *spec](const std::string& full_name, const ModelOptions& options) {
            return std::make_unique<VisionTransformer>(full_name, spec, options);
          }};
}

std::vector<std::string> names() {
  std::vector<std::string> list = {"vit"};
  for (const Size& size : kSizes)
    for (const int64_t patch : {2, 4, 8, 14, 16, 32})
      for (const char* suffix : {"", "_gap"})
        list.push_back(concat_text("vit_", size.name, "_patch", patch, suffix));
  return list;
}

}  // namespace

ModelFamily vit_family() { return {find, names}; }

}  // namespace passband
