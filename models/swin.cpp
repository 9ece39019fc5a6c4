// Swin transformer.
#include "models/swin.h"

#include "models/named_spec.h"
#include "models/network.h"
#include "models/transformer_block.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/norm.h"
#include "tensor/core/text.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr double kSwinEps = 1e-5;

struct SwinSpec {
  int64_t width = 96;  // of the first stage; doubled from stage to stage
  std::vector<int64_t> depths = {2, 2, 6, 2};
  int64_t heads = 3;  // of the first stage; doubled as well
};

// The form for small pictures is Park and Kim's (2022): tokens of one pixel, windows of 4, queries,
// keys and values without a bias.
struct Form {
  int64_t patch, window;
  bool qkv_bias;
};
Form form_for(int64_t image_size) {
  return image_size <= kCifarSize ? Form{1, 4, false} : Form{4, 7, true};
}

// Concatenates each 2x2 cell, normalises, and halves the channels: (N, H, W, C) -> (N, H/2, W/2,
// 2C). The cell is read by columns, as in the authors' code.
class PatchMerging {
 public:
  // `site` is that of the merged map.
  PatchMerging(const Scope& scope, int64_t channels, const TapSite& site)
      : norm_(scope / "norm", 4 * channels, kSwinEps),
        reduction_(
            scope / "reduction", 4 * channels, 2 * channels,
            {.bias = false, .weight_init = Init::truncated_normal(0.02), .rows = tokens_of(site)}),
        name_(scope.path()),
        site_(site) {
    site_.kind = BlockKind::downsample;
    site_.subsamples = true;
  }

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    const int64_t n = x.size(0), h = x.size(1) / 2, w = x.size(2) / 2, c = x.size(3);
    const Tensor cells = permute(reshape(x, {n, h, 2, w, 2, c}), {0, 1, 3, 4, 2, 5});
    return tap("out", reduction_(norm_(reshape(cells, {n, h, w, 4 * c}))), site_);
  }

 private:
  LayerNorm norm_;
  Linear reduction_;
  std::string name_;
  TapSite site_;
};

MakeTokenMixing window_attention(int64_t width, int64_t heads, bool qkv_bias) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return WindowAttention(block / "attn", width, width, {site.height, site.width},
                           {.heads = heads,
                            .head_dim = width / heads,
                            .window = site.window,
                            .shift = site.shift,
                            .bias_per_head = true,
                            .query_minus_key = true,
                            .qkv_bias = qkv_bias,
                            .linear = transformer_init()});
  };
}

class SwinTransformer final : public Model {
 public:
  SwinTransformer(const std::string& name, const SwinSpec& spec, const ModelOptions& options)
      : form_(form_for(options.image_size)) {
    name_ = name;
    family_ = "swin";
    options_ = options;
    const Scope root(store_);
    const int64_t patch = form_.patch, side = options.image_size / patch;
    embedding_ = {.kind = BlockKind::embedding, .height = side, .width = side};
    embedding_.patch = static_cast<double>(patch);
    patch_embed_.emplace(
        root / "patch_embed" / "proj", 3, spec.width, Grid{options.image_size, options.image_size},
        Conv2dOptions{.kernel = patch, .stride = patch, .padding = 0, .bias = true});
    patch_norm_.emplace(root / "patch_embed" / "norm", spec.width, kSwinEps);
    const int64_t width = add_stages(root, spec);
    norm_.emplace(root / "norm", width, kSwinEps);
    head_.emplace(root / "head" / "fc", width, options.classes, transformer_init());
    macs_ = store_.macs();
  }

 private:
  struct Stage {
    std::optional<PatchMerging> downsample;
    std::vector<TransformerBlock> blocks;
  };

  // Returns the channels of the last stage.
  int64_t add_stages(const Scope& root, const SwinSpec& spec) {
    int64_t width = spec.width, heads = spec.heads, index = 0, total = 0;
    for (const int64_t depth : spec.depths) total += depth;
    TapSite site = embedding_;
    for (size_t s = 0; s < spec.depths.size(); ++s) {
      const Scope scope = root / "layers" / std::to_string(s);
      Stage& stage = stages_.emplace_back();
      if (s > 0) {
        site.height /= 2, site.width /= 2, site.patch *= 2;
        stage.downsample.emplace(scope / "downsample", width, site);
        width *= 2, heads *= 2;
      }
      for (int64_t b = 0; b < spec.depths[s]; ++b, ++index)
        stage.blocks.emplace_back(
            scope / "blocks" / std::to_string(b),
            TransformerOptions{.width = width,
                               .hidden = 4 * width,
                               .eps = kSwinEps,
                               .linear = transformer_init(),
                               .drop_path = drop_path_at(options_.drop_path, index, total),
                               .site = windowed(site, b % 2 == 1)},
            window_attention(width, heads, form_.qkv_bias));
    }
    branches_.resize(static_cast<size_t>(2 * total), BlockKind::msa);
    for (size_t i = 1; i < branches_.size(); i += 2) branches_[i] = BlockKind::mlp;
    return width;
  }

  // A window that is the whole map is not shifted.
  TapSite windowed(TapSite site, bool shifted) const {
    site.kind = BlockKind::msa;
    site.window = fit_window(site.height, form_.window);
    site.shift = shifted && site.window < site.height ? site.window / 2 : 0;
    return site;
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, H, W, C)
    for (const Stage& stage : stages_) {
      if (stage.downsample) x = (*stage.downsample)(x);
      for (const TransformerBlock& block : stage.blocks) x = block(x);
    }
    ScopeGuard guard("head");
    const Tensor features =
        tap("features", global_avg_pool((*norm_)(x)), {.kind = BlockKind::head});  // (N, C)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    return tap("out", (*patch_norm_)((*patch_embed_)(images)), embedding_);
  }

  Form form_;
  TapSite embedding_;
  std::optional<Conv2d> patch_embed_;
  std::optional<LayerNorm> patch_norm_;
  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
};

// `swin` is the small member of the family, for CIFAR in minutes; the others are the paper's.
const std::vector<NamedSpec<SwinSpec>>& swin_table() {
  static const std::vector<NamedSpec<SwinSpec>> rows = {
      {"swin", {.width = 32, .depths = {2, 2, 2, 2}, .heads = 1}},
      {"swin_tiny", {.width = 96, .depths = {2, 2, 6, 2}, .heads = 3}},
      {"swin_small", {.width = 96, .depths = {2, 2, 18, 2}, .heads = 3}},
      {"swin_base", {.width = 128, .depths = {2, 2, 18, 2}, .heads = 4}},
      {"swin_large", {.width = 192, .depths = {2, 2, 18, 2}, .heads = 6}}};
  return rows;
}

std::string swin_refusal(const SwinSpec& spec, int64_t side) {
  const int64_t merges = int64_t{1} << (spec.depths.size() - 1);
  if (side > 0 && side % (merges * form_for(side).patch) == 0) return "";
  return concat_text("its map cannot be halved ", spec.depths.size() - 1, " times on a ", side, "x",
                     side, " image; it takes sides up to ", kCifarSize, " that are multiples of ",
                     merges * form_for(1).patch, ", and larger multiples of ",
                     merges * form_for(kCifarSize + 1).patch);
}

std::optional<Architecture> find_swin(const std::string& name) {
  return architecture<SwinTransformer>("swin", find_spec(swin_table(), name), swin_refusal);
}

std::vector<std::string> swin_names() { return names_of(swin_table()); }

}  // namespace

ModelFamily swin_family() { return {find_swin, swin_names}; }

}  // namespace passband
