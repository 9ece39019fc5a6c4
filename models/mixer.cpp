// MLP-Mixer.
#include "models/mixer.h"

#include "models/name_reader.h"
#include "models/named_spec.h"
#include "models/network.h"
#include "models/transformer_block.h"
#include "nn/conv.h"
#include "tensor/core/text.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

struct MixerSpec {
  int64_t width = 256, depth = 8, token_hidden = 128, channel_hidden = 1024;
  int64_t patch = 0;  // 0: 2 for pictures up to kCifarSize, 16 for larger ones

  int64_t patch_for(int64_t image_size) const {
    if (patch > 0) return patch;
    return image_size <= kCifarSize ? 2 : 16;
  }
};

// The MLP of MLP-Mixer's name, over the tokens of each channel.
MakeTokenMixing token_mlp(int64_t width, int64_t hidden) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    const Mlp mlp(block / "mlp_tokens", tokens_of(site), hidden, {.rows = width});
    return [mlp](const Tensor& x, const TapSite&, const Tensor& residual) {
      const Tensor mixed = transpose(mlp(transpose(x, 1, 2)), 1, 2);
      return residual.defined() ? residual + mixed : mixed;
    };
  };
}

class MlpMixer final : public Model {
 public:
  MlpMixer(const std::string& name, const MixerSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "mixer";
    options_ = options;
    const Scope root(store_);
    const int64_t patch = spec.patch_for(options.image_size), side = options.image_size / patch;
    embedding_ = {.kind = BlockKind::embedding,
                  .height = side,
                  .width = side,
                  .patch = static_cast<double>(patch)};
    stem_.emplace(root / "stem", 3, spec.width, patch,
                  Grid{options.image_size, options.image_size});
    TapSite site = embedding_;
    site.kind = BlockKind::token_mlp;
    for (int64_t i = 0; i < spec.depth; ++i) {
      blocks_.emplace_back(
          root / "blocks" / std::to_string(i),
          TransformerOptions{.width = spec.width,
                             .hidden = spec.channel_hidden,
                             .drop_path = drop_path_at(options.drop_path, i, spec.depth),
                             .mlp = "mlp_channels",
                             .site = site},
          token_mlp(spec.width, spec.token_hidden));
      branches_.insert(branches_.end(), {BlockKind::token_mlp, BlockKind::mlp});
    }
    norm_.emplace(root / "norm", spec.width);
    head_.emplace(root / "head", spec.width, options.classes);
    macs_ = store_.macs();
  }

 private:
  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, T, D)
    for (const TransformerBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    const Tensor features =
        tap("features", mean((*norm_)(x), {1}), {.kind = BlockKind::head});  // (N, D)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    return tap("out", (*stem_)(images), embedding_);
  }

  TapSite embedding_;
  std::optional<PatchEmbed> stem_;
  std::vector<TransformerBlock> blocks_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
};

// `mixer` is the small member of the family, for CIFAR in minutes.
const std::vector<NamedSpec<MixerSpec>>& mixer_table() {
  static const std::vector<NamedSpec<MixerSpec>> rows = {
      {"mixer", {.width = 128, .depth = 6, .token_hidden = 64, .channel_hidden = 512, .patch = 4}},
      {"mixer_tiny", {.width = 256, .depth = 8, .token_hidden = 128, .channel_hidden = 1024}},
      {"mixer_small", {.width = 512, .depth = 8, .token_hidden = 256, .channel_hidden = 2048}},
      {"mixer_base", {.width = 768, .depth = 12, .token_hidden = 384, .channel_hidden = 3072}},
      {"mixer_large", {.width = 1024, .depth = 24, .token_hidden = 512, .channel_hidden = 4096}}};
  return rows;
}

std::optional<MixerSpec> mixer_spec_of(const std::string& name) {
  for (const NamedSpec<MixerSpec>& row : mixer_table()) {
    std::string_view rest = name;
    if (!take_prefix(rest, row.name)) continue;
    if (rest.empty()) return row.spec;
    MixerSpec spec = row.spec;
    if (take_prefix(rest, "_patch") && take_number(rest, spec.patch) && rest.empty()) return spec;
  }
  return {};
}

std::string mixer_refusal(const MixerSpec& spec, int64_t side) {
  return untiled(spec.patch_for(side), side);
}

std::optional<Architecture> find_mixer(const std::string& name) {
  return architecture<MlpMixer>("mixer", mixer_spec_of(name), mixer_refusal);
}

std::vector<std::string> mixer_names() { return names_of(mixer_table()); }

}  // namespace

ModelFamily mixer_family() { return {find_mixer, mixer_names}; }

}  // namespace passband
