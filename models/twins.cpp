// Twins-SVT.
#include "models/twins.h"

#include <array>

#include "models/named_spec.h"
#include "models/network.h"
#include "models/transformer_block.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/norm.h"
#include "nn/subsampled_attention.h"
#include "tensor/core/text.h"
#include "tensor/ops/pool.h"

namespace passband {
namespace {

constexpr double kEmbeddingEps = 1e-5;
constexpr std::array<int64_t, 4> kCells = {8, 4, 2, 1};  // of sub-sampled attention, by stage

struct TwinsSpec {
  int64_t width = 64;  // of the first stage; doubled from stage to stage
  std::array<int64_t, 4> depths = {2, 2, 10, 4};
  int64_t heads = 2;  // of the first stage; doubled as well
};

int64_t first_patch(int64_t image_size) { return image_size <= kCifarSize ? 1 : 4; }

// timm's initial values.
Conv2dOptions twins_convolution(int64_t kernel, int64_t out, int64_t groups = 1) {
  return {.kernel = kernel,
          .groups = groups,
          .bias = true,
          .weight_init = Init::fan_out_normal(kernel * kernel * out / groups),
          .bias_init = Init::constant(0)};
}

// Cells of `patch` x `patch` places to one: (N, H, W, in) -> (N, H / patch, W / patch, out).
class TwinsEmbedding {
 public:
  // `site` is that of the result.
  TwinsEmbedding(const Scope& scope, int64_t in, int64_t out, int64_t patch, const TapSite& site)
      : proj_(scope / "proj", in, out, Grid{site.height * patch, site.width * patch},
              options(patch, out)),
        norm_(scope / "norm", out, kEmbeddingEps),
        name_(scope.path()),
        site_(site) {}

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    return tap("out", norm_(proj_(x)), site_);
  }

 private:
  static Conv2dOptions options(int64_t patch, int64_t out) {
    Conv2dOptions result = twins_convolution(patch, out);
    result.stride = patch;
    result.padding = 0;
    return result;
  }

  Conv2d proj_;
  LayerNorm norm_;
  std::string name_;
  TapSite site_;
};

// Positions by what stands around (Chu et al. 2021b): a depthwise 3x3 beside a skip.
class PositionConvolution {
 public:
  PositionConvolution(const Scope& scope, int64_t width, const TapSite& site)
      : proj_(scope / "proj" / "0", width, width, Grid{site.height, site.width}, options(width)),
        name_(scope.path()),
        site_(site) {
    site_.kind = BlockKind::depthwise;
  }

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    return add_branch([&](const Tensor& residual) { return proj_(x, residual); }, x, DropPath{},
                      site_);
  }

 private:
  static Conv2dOptions options(int64_t width) {
    Conv2dOptions result = twins_convolution(3, width, width);
    result.decay = false;
    return result;
  }

  Conv2d proj_;
  std::string name_;
  TapSite site_;
};

MakeTokenMixing grouped_attention(int64_t width, int64_t heads) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return WindowAttention(block / "attn", width, width, {site.height, site.width},
                           {.heads = heads,
                            .head_dim = width / heads,
                            .window = site.window,
                            .qkv_bias = true,
                            .has_table = false,
                            .linear = transformer_init()});
  };
}

MakeTokenMixing subsampled_attention(int64_t width, int64_t heads, int64_t cell) {
  return [=](const Scope& block, const TapSite& site) -> TokenMixing {
    return SubsampledAttention(block / "attn", width, {site.height, site.width},
                               {.heads = heads,
                                .cell = cell,
                                .linear = transformer_init(),
                                .shrinking = twins_convolution(cell, width)});
  };
}

class TwinsTransformer final : public Model {
 public:
  TwinsTransformer(const std::string& name, const TwinsSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "twins";
    options_ = options;
    const Scope root(store_);
    const int64_t width = add_stages(root, spec);
    norm_.emplace(root / "norm", width);
    head_.emplace(root / "head", width, options.classes, transformer_init());
    macs_ = store_.macs();
  }

 private:
  struct Stage {
    TwinsEmbedding embedding;
    std::vector<TransformerBlock> blocks;
    PositionConvolution position;  // after the first of them
  };

  // Returns the channels of the last stage.
  int64_t add_stages(const Scope& root, const TwinsSpec& spec) {
    int64_t in = 3, width = spec.width, heads = spec.heads, index = 0, total = 0;
    for (const int64_t depth : spec.depths) total += depth;
    TapSite site = {.height = options_.image_size, .width = options_.image_size};
    for (size_t s = 0; s < spec.depths.size(); ++s) {
      const int64_t patch = s == 0 ? first_patch(options_.image_size) : 2;
      site.height /= patch, site.width /= patch, site.patch *= static_cast<double>(patch);
      site.kind = s == 0 ? BlockKind::embedding : BlockKind::downsample;
      site.subsamples = s > 0;
      const std::string number = std::to_string(s);
      TwinsEmbedding embedding(root / "patch_embeds" / number, in, width, patch, site);
      site.subsamples = false;
      stages_.push_back({std::move(embedding), {}, {root / "pos_block" / number, width, site}});
      for (int64_t b = 0; b < spec.depths[s]; ++b, ++index)
        add_block(stages_.back(), root / "blocks" / number / std::to_string(b), site,
                  {.width = width,
                   .hidden = 4 * width,
                   .linear = transformer_init(),
                   .drop_path = drop_path_at(options_.drop_path, index, total)},
                  heads, b % 2 == 0 ? 0 : kCells[s]);
      in = width;
      if (s + 1 < spec.depths.size()) width *= 2, heads *= 2;
    }
    return width;
  }

  // `cell` 0: attention in windows.
  void add_block(Stage& stage, const Scope& scope, const TapSite& site, TransformerOptions options,
                 int64_t heads, int64_t cell) {
    options.site = site;
    options.site.kind = BlockKind::msa;
    if (cell == 0)
      options.site.window = fit_window(site.height, options_.image_size <= kCifarSize ? 4 : 7);
    if (stage.blocks.size() == 1) branches_.push_back(BlockKind::depthwise);
    branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
    stage.blocks.emplace_back(scope, options,
                              cell == 0 ? grouped_attention(options.width, heads)
                                        : subsampled_attention(options.width, heads, cell));
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = images;  // (N, H, W, C)
    for (const Stage& stage : stages_) {
      x = stage.embedding(x);
      for (size_t b = 0; b < stage.blocks.size(); ++b) {
        x = stage.blocks[b](x);
        if (b == 0) x = stage.position(x);
      }
    }
    ScopeGuard guard("head");
    const Tensor features =
        tap("features", global_avg_pool((*norm_)(x)), {.kind = BlockKind::head});  // (N, C)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
};

// `twins` is the small member of the family, for CIFAR in minutes; the others are the paper's.
const std::vector<NamedSpec<TwinsSpec>>& twins_table() {
  static const std::vector<NamedSpec<TwinsSpec>> rows = {
      {"twins", {.width = 32, .depths = {2, 2, 2, 2}, .heads = 1}},
      {"twins_svt_small", {.width = 64, .depths = {2, 2, 10, 4}, .heads = 2}},
      {"twins_svt_base", {.width = 96, .depths = {2, 2, 18, 2}, .heads = 3}},
      {"twins_svt_large", {.width = 128, .depths = {2, 2, 18, 2}, .heads = 4}}};
  return rows;
}

std::string twins_refusal(const TwinsSpec&, int64_t side) {
  const int64_t unit = kCells[0] * first_patch(side);
  if (side > 0 && side % unit == 0) return "";
  return concat_text("its maps cannot be shrunk ", kCells[0], "-fold on a ", side, "x", side,
                     " image; it takes sides up to ", kCifarSize, " that are multiples of ",
                     kCells[0] * first_patch(1), ", and larger multiples of ",
                     kCells[0] * first_patch(kCifarSize + 1));
}

std::optional<Architecture> find_twins(const std::string& name) {
  return architecture<TwinsTransformer>("twins", find_spec(twins_table(), name), twins_refusal);
}

std::vector<std::string> twins_names() { return names_of(twins_table()); }

}  // namespace

ModelFamily twins_family() { return {find_twins, twins_names}; }

}  // namespace passband
