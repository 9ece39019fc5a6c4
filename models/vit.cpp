// Vision transformer.
#include "models/vit.h"

#include <array>

#include "models/name_reader.h"
#include "models/network.h"
#include "models/transformer_block.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/hydra.h"
#include "nn/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

int64_t patch_for(const VitSpec& spec, int64_t image_size) {
  if (spec.patch > 0) return spec.patch;
  return image_size <= kCifarSize ? 4 : 16;
}

int64_t prefix_of(const VitSpec& spec) { return spec.pooled ? 0 : spec.distilled ? 2 : 1; }

MakeTokenMixing hydra_attention(int64_t width, bool qkv_bias) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return HydraAttention(
        block / "attn", width,
        {.qkv_bias = qkv_bias, .linear = transformer_init(), .tokens = tokens_of(site)});
  };
}

// The small member of the family, which the quick recipe trains on CIFAR in minutes.
constexpr VitSpec kSmallVit = {
    .width = 128, .depth = 4, .heads = 4, .mlp = 2, .patch = 4, .pooled = true};

class VisionTransformer final : public Model {
 public:
  VisionTransformer(const std::string& name, const VitSpec& spec, const ModelOptions& options)
      : spec_(spec) {
    name_ = name;
    family_ = "vit";
    options_ = options;
    const Scope root(store_);
    const int64_t patch = patch_for(spec, options.image_size), prefix = prefix_of(spec);
    const int64_t side = options.image_size / patch;
    site_ = {.kind = BlockKind::embedding, .height = side, .width = side, .prefix = prefix};
    site_.patch = static_cast<double>(patch);

    if (!spec.pooled)
      cls_token_ = root.parameter("cls_token", {1, 1, spec.width}, Init::truncated_normal(0.02),
                                  Layout::same, false);
    if (spec.distilled)
      dist_token_ = root.parameter("dist_token", {1, 1, spec.width}, Init::truncated_normal(0.02),
                                   Layout::same, false);
    pos_embed_ = root.parameter("pos_embed", {1, prefix + side * side, spec.width},
                                Init::truncated_normal(0.02), Layout::same, false);
    patch_embed_.emplace(root / "patch_embed", 3, spec.width, patch,
                         Grid{options.image_size, options.image_size});
    for (int64_t i = 0; i < spec.depth; ++i)
      add_block(root / "blocks" / std::to_string(i),
                drop_path_at(options.drop_path, i, spec.depth));
    norm_.emplace(root / "norm", spec.width);
    head_.emplace(root / "head", spec.width, options.classes, transformer_init());
    if (spec.distilled)
      head_dist_.emplace(root / "head_dist", spec.width, options.classes, transformer_init());
    macs_ = store_.macs();
  }

 private:
  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, T, D)
    for (const TransformerBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    x = (*norm_)(x);
    // What the classifier reads; with two tokens, two classifiers of which the mean counts.
    const Tensor read = spec_.pooled ? mean(x, {1}) : token(x, 0);
    const Tensor features = tap("features", read, {.kind = BlockKind::head});  // (N, D)
    const Tensor logits = (*head_)(Dropout{options_.dropout}(features));
    if (!head_dist_) return logits;
    return (logits + (*head_dist_)(Dropout{options_.dropout}(token(x, 1)))) * 0.5;
  }

  // (N, T, D) -> (N, D)
  static Tensor token(const Tensor& x, int64_t index) {
    return reshape(slice(x, 1, index, 1), Shape{x.size(0), x.size(2)});
  }

  void add_block(const Scope& scope, double drop_path) {
    const int64_t number = std::ssize(blocks_) + 1;
    const bool hydra = number > spec_.depth - spec_.hydra, has_skip = number != spec_.no_skip;
    TapSite site = site_;
    site.kind = hydra ? BlockKind::hydra : BlockKind::msa;
    blocks_.emplace_back(
        scope,
        TransformerOptions{.width = spec_.width,
                           .hidden = spec_.mlp * spec_.width,
                           .linear = transformer_init(),
                           .drop_path = drop_path,
                           .has_skip = has_skip,
                           .site = site},
        hydra ? hydra_attention(spec_.width, spec_.qkv_bias)
              : self_attention(spec_.width, spec_.heads, spec_.qkv_bias, transformer_init()));
    branches_.insert(branches_.end(), {site.kind, BlockKind::mlp});
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    Tensor x = (*patch_embed_)(images);  // (N, h * w, D)
    std::vector<Tensor> parts;
    for (const ParameterRef& token : {cls_token_, dist_token_})
      if (token) parts.push_back(expand(token->as(x.dtype()), Shape{x.size(0), 1, x.size(2)}));
    parts.push_back(x);
    if (parts.size() > 1) x = concat(parts, 1);
    return tap("out", x + pos_embed_->as(x.dtype()), site_);
  }

  VitSpec spec_;
  ParameterRef cls_token_, dist_token_, pos_embed_;
  std::optional<PatchEmbed> patch_embed_;
  std::vector<TransformerBlock> blocks_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_, head_dist_;
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

std::optional<VitSpec> take_size(std::string_view& text) {
  for (const Size& size : kSizes)
    if (take_prefix(text, size.name))
      return VitSpec{.width = size.width, .depth = size.depth, .heads = size.heads};
  return {};
}

// "192x4": width and depth, heads of 32 channels.
std::optional<VitSpec> take_own_size(std::string_view& text) {
  constexpr int64_t kMostWidth = 8192, kMostDepth = 200, kHead = 32;
  VitSpec spec;
  if (!take_number(text, spec.width) || !take_prefix(text, "x") || !take_number(text, spec.depth))
    return {};
  if (spec.width > kMostWidth || spec.width % kHead != 0 || spec.depth > kMostDepth) return {};
  spec.heads = spec.width / kHead;
  return spec;
}

// A number of blocks, from 1 to all.
bool take_blocks(std::string_view& text, int64_t depth, int64_t& number) {
  return take_number(text, number) && number <= depth;
}

// "vit_tiny_patch16", "vit_base_patch2_gap": sizes tiny, small, base, large, huge, or of one's own,
// "vit_192x4_patch4" (a multiple of 32), and then "_mlp2" for narrower MLPs. "_gap" pools instead
// of using a class token. Queries, keys and values have a bias as in timm, except at patch 2, the
// form that Park and Kim (2022) trained on CIFAR without; "_qkvbias" and "_noqkvbias" say it
// explicitly. "_noskip7" leaves out the shortcuts of block 7, to train what Raghu et al. (2021,
// figure 8) did. "_hydra" gives all blocks Hydra attention, "_hydra2" the last two: Bolya et al.
// (2022) replace it from the back.
std::optional<VitSpec> vit_spec(std::string_view rest) {
  std::optional<VitSpec> spec = take_size(rest);
  const bool own = !spec;
  if (own) spec = take_own_size(rest);
  if (!spec || !take_prefix(rest, "_patch") || !take_number(rest, spec->patch)) return {};
  if (own && take_prefix(rest, "_mlp") && (!take_number(rest, spec->mlp) || spec->mlp > 64))
    return {};
  spec->qkv_bias = spec->patch != 2;
  spec->pooled = take_prefix(rest, "_gap");
  if (take_prefix(rest, "_qkvbias")) spec->qkv_bias = true;
  if (take_prefix(rest, "_noqkvbias")) spec->qkv_bias = false;
  if (take_prefix(rest, "_noskip") && !take_blocks(rest, spec->depth, spec->no_skip)) return {};
  if (take_prefix(rest, "_hydra")) {
    if (rest.empty()) spec->hydra = spec->depth;
    else if (!take_blocks(rest, spec->depth, spec->hydra)) return {};
  }
  return rest.empty() ? spec : std::nullopt;
}

// "deit_tiny", "deit_small_distilled", "deit_base_distilled_patch16" (Touvron et al. 2021). Without
// the patch it is 4 for pictures up to kCifarSize and 16 for larger ones.
std::optional<VitSpec> deit_spec(std::string_view rest) {
  std::optional<VitSpec> spec = take_size(rest);
  if (!spec || spec->width > 768) return {};
  spec->distilled = take_prefix(rest, "_distilled");
  if (take_prefix(rest, "_patch") && !take_number(rest, spec->patch)) return {};
  return rest.empty() ? spec : std::nullopt;
}

std::optional<VitSpec> vit_spec_of(const std::string& name) {
  std::string_view rest = name;
  if (name == "vit") return kSmallVit;
  if (name == "vit_hydra") {
    VitSpec spec = kSmallVit;
    spec.hydra = spec.depth;
    return spec;
  }
  if (take_prefix(rest, "vit_")) return vit_spec(rest);
  if (take_prefix(rest, "deit_")) return deit_spec(rest);
  return {};
}

std::optional<Architecture> find_vit(const std::string& name) {
  const std::optional<VitSpec> spec = vit_spec_of(name);
  if (!spec) return {};
  return Architecture{
      .family = "vit",
      .refusal = [spec = *spec](int64_t side) { return untiled(patch_for(spec, side), side); },
      .make = [spec = *spec](
                  const std::string& full_name,
                  const ModelOptions& options) { return make_vit(full_name, spec, options); }};
}

std::vector<std::string> vit_names() {
  std::vector<std::string> list = {"vit", "vit_hydra"};
  for (const Size& size : kSizes)
    for (const int64_t patch : {2, 4, 8, 14, 16, 32})
      for (const char* suffix : {"", "_gap"})
        list.push_back(concat_text("vit_", size.name, "_patch", patch, suffix));
  for (const char* size : {"tiny", "small", "base"})
    for (const char* suffix : {"", "_distilled"})
      list.push_back(concat_text("deit_", size, suffix));
  for (const char* size : {"tiny", "small", "base"})
    for (const int64_t patch : {4, 16})
      list.push_back(concat_text("vit_", size, "_patch", patch, "_hydra"));
  return list;
}

}  // namespace

std::unique_ptr<Model> make_vit(const std::string& name, const VitSpec& spec,
                                const ModelOptions& options) {
  const std::string refused = untiled(patch_for(spec, options.image_size), options.image_size);
  if (!refused.empty()) throw UsageError(concat_text("model ", name, ": ", refused));
  return std::make_unique<VisionTransformer>(name, spec, options);
}

ModelFamily vit_family() { return {find_vit, vit_names}; }

}  // namespace passband
