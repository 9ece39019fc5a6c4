// Vision transformer with local attention.
#include "models/convvit.h"

#include "models/name_reader.h"
#include "models/named_spec.h"
#include "models/network.h"
#include "models/transformer_block.h"
#include "nn/conv.h"
#include "nn/local_attention.h"
#include "tensor/core/text.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr double kConvVitEps = 1e-5;

struct ConvVitSpec {
  int64_t width = 192, depth = 12, heads = 3;
  int64_t kernel = 3;
  int64_t patch = 0;  // 0: 4 for pictures up to kCifarSize, 16 for larger ones

  int64_t patch_for(int64_t image_size) const {
    if (patch > 0) return patch;
    return image_size <= kCifarSize ? 4 : 16;
  }
};

MakeTokenMixing local_attention(int64_t width, int64_t heads, int64_t kernel) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return LocalAttention(block / "attn", width, {site.height, site.width},
                          {.heads = heads, .kernel = kernel});
  };
}

class ConvVit final : public Model {
 public:
  ConvVit(const std::string& name, const ConvVitSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "convvit";
    options_ = options;
    const Scope root(store_);
    const int64_t patch = spec.patch_for(options.image_size), side = options.image_size / patch;
    embedding_ = {.kind = BlockKind::embedding,
                  .height = side,
                  .width = side,
                  .patch = static_cast<double>(patch)};
    pos_embed_ = root.parameter("pos_embed", {1, side * side, spec.width}, Init::normal(0.02),
                                Layout::same, false);
    patch_embed_.emplace(root / "patch_embed", 3, spec.width, patch,
                         Grid{options.image_size, options.image_size});
    TapSite site = embedding_;
    site.kind = BlockKind::msa;
    for (int64_t i = 0; i < spec.depth; ++i) {
      blocks_.emplace_back(
          root / "blocks" / std::to_string(i),
          TransformerOptions{.width = spec.width,
                             .hidden = 4 * spec.width,
                             .eps = kConvVitEps,
                             .drop_path = drop_path_at(options.drop_path, i, spec.depth),
                             .site = site},
          local_attention(spec.width, spec.heads, spec.kernel));
      branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
    }
    norm_.emplace(root / "norm", spec.width, kConvVitEps);
    head_.emplace(root / "head", spec.width, options.classes);
    macs_ = store_.macs();
  }

 private:
  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, H, W, D)
    for (const TransformerBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    const Tensor features =
        tap("features", (*norm_)(global_avg_pool(x)), {.kind = BlockKind::head});  // (N, D)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    const Tensor tokens = (*patch_embed_)(images);
    const Tensor x = tokens + pos_embed_->as(tokens.dtype());
    return tap("out", reshape(x, {x.size(0), embedding_.height, embedding_.width, x.size(2)}),
               embedding_);
  }

  ParameterRef pos_embed_;
  TapSite embedding_;
  std::optional<PatchEmbed> patch_embed_;
  std::vector<TransformerBlock> blocks_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
};

// `convvit` is the small member of the family, for CIFAR in minutes.
const std::vector<NamedSpec<ConvVitSpec>>& convvit_table() {
  static const std::vector<NamedSpec<ConvVitSpec>> rows = {
      {"convvit", {.width = 128, .depth = 6, .heads = 4}},
      {"convvit_tiny", {.width = 192, .depth = 12, .heads = 3}},
      {"convvit_small", {.width = 384, .depth = 12, .heads = 6}},
      {"convvit_base", {.width = 768, .depth = 12, .heads = 12}}};
  return rows;
}

std::optional<ConvVitSpec> convvit_spec_of(const std::string& name) {
  for (const NamedSpec<ConvVitSpec>& row : convvit_table()) {
    std::string_view rest = name;
    ConvVitSpec spec = row.spec;
    if (!take_prefix(rest, row.name)) continue;
    if (take_prefix(rest, "_patch") && !take_number(rest, spec.patch)) continue;
    if (take_prefix(rest, "_kernel") && !take_number(rest, spec.kernel)) continue;
    if (rest.empty()) return spec;
  }
  return {};
}

std::string convvit_refusal(const ConvVitSpec& spec, int64_t side) {
  constexpr int64_t kMostKernel = 127;
  if (spec.kernel > kMostKernel)
    return concat_text("its kernel is ", spec.kernel, " tokens; at most ", kMostKernel);
  const int64_t patch = spec.patch_for(side), tokens = side / patch;
  std::string untiled_map = untiled(patch, side);
  if (!untiled_map.empty() || fits_locally(spec.kernel, {tokens, tokens})) return untiled_map;
  return concat_text("an even kernel has to cover the map, and ", spec.kernel, "x", spec.kernel,
                     " tokens do not cover the ", tokens, "x", tokens, " tokens of a ", side, "x",
                     side, " image; choose an odd kernel, or pictures up to ", spec.kernel * patch,
                     " pixels");
}

std::optional<Architecture> find_convvit(const std::string& name) {
  return architecture<ConvVit>("convvit", convvit_spec_of(name), convvit_refusal);
}

std::vector<std::string> convvit_names() {
  std::vector<std::string> list = {"convvit"};
  for (const char* size : {"tiny", "small", "base"})
    for (const int64_t kernel : {3, 5, 8})
      list.push_back(concat_text("convvit_", size, "_kernel", kernel));
  return list;
}

}  // namespace

ModelFamily convvit_family() { return {find_convvit, convvit_names}; }

}  // namespace passband
