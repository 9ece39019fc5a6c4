// Pooling-based vision transformer.
#include "models/pit.h"

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

struct Patches {
  int64_t size = 16, stride = 8;
};

struct PitSpec {
  int64_t head_dim = 32;
  std::vector<int64_t> depths = {2, 6, 4};
  int64_t heads = 2;  // of the first stage; doubled from stage to stage
  Patches small = {2, 1}, large = {16, 8};

  const Patches& patches(int64_t image_size) const {
    return image_size <= kCifarSize ? small : large;
  }
};

// Halves the map by a depthwise convolution that doubles the channels; the class token passes a
// linear layer. (N, 1 + H W, C) -> (N, 1 + ceil(H/2) ceil(W/2), 2C).
class Pooling {
 public:
  // `before` is the site of the tokens that come in.
  Pooling(const Scope& scope, int64_t channels, const TapSite& before)
      : conv_(scope / "conv", channels, 2 * channels, Grid{before.height, before.width},
              Conv2dOptions{.kernel = 3, .stride = 2, .groups = channels, .bias = true}),
        fc_(scope / "fc", channels, 2 * channels),
        name_(scope.path()),
        before_{before.height, before.width},
        site_(before) {
    site_.kind = BlockKind::downsample;
    site_.subsamples = true;
    site_.height = conv_.out_grid.height;
    site_.width = conv_.out_grid.width;
    site_.patch *= 2;
  }

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    const int64_t n = x.size(0), c = x.size(2), tokens = before_.pixels();
    const Tensor map = reshape(slice(x, 1, 1, tokens), {n, before_.height, before_.width, c});
    const Tensor pooled = reshape(conv_(map), {n, conv_.out_grid.pixels(), 2 * c});
    return tap("out", concat({fc_(slice(x, 1, 0, 1)), pooled}, 1), site_);
  }

  const TapSite& site() const { return site_; }

 private:
  Conv2d conv_;
  Linear fc_;
  std::string name_;
  Grid before_;
  TapSite site_;
};

class PoolingTransformer final : public Model {
 public:
  PoolingTransformer(const std::string& name, const PitSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "pit";
    options_ = options;
    const Scope root(store_);
    const Patches& patches = spec.patches(options.image_size);
    const int64_t width = spec.head_dim * spec.heads;
    patch_embed_.emplace(
        root / "patch_embed" / "conv", 3, width, Grid{options.image_size, options.image_size},
        Conv2dOptions{
            .kernel = patches.size, .stride = patches.stride, .padding = 0, .bias = true});
    const Grid grid = patch_embed_->out_grid;
    pos_embed_ = root.parameter("pos_embed", {1, grid.height, grid.width, width},
                                Init::truncated_normal(0.02), Layout::conv, false);
    cls_token_ = root.parameter("cls_token", {1, 1, width}, Init::truncated_normal(0.02),
                                Layout::same, false);
    embedding_ = {.kind = BlockKind::embedding,
                  .height = grid.height,
                  .width = grid.width,
                  .prefix = 1,
                  .patch = static_cast<double>(patches.stride)};
    const int64_t last = add_stages(root / "transformers", spec, width);
    norm_.emplace(root / "norm", last);
    head_.emplace(root / "head", last, options.classes);
    macs_ = store_.macs();
  }

 private:
  struct Stage {
    std::optional<Pooling> pool;
    std::vector<TransformerBlock> blocks;
  };

  // Returns the channels of the last stage.
  int64_t add_stages(const Scope& root, const PitSpec& spec, int64_t width) {
    int64_t index = 0, total = 0, heads = spec.heads;
    for (const int64_t depth : spec.depths) total += depth;
    TapSite site = embedding_;
    for (size_t s = 0; s < spec.depths.size(); ++s) {
      const Scope scope = root / std::to_string(s);
      Stage& stage = stages_.emplace_back();
      if (s > 0) {
        stage.pool.emplace(scope / "pool", width, site);
        site = stage.pool->site();
        site.subsamples = false;
        width *= 2, heads *= 2;
      }
      site.kind = BlockKind::msa;
      for (int64_t b = 0; b < spec.depths[s]; ++b, ++index) {
        stage.blocks.emplace_back(
            scope / "blocks" / std::to_string(b),
            TransformerOptions{.width = width,
                               .hidden = 4 * width,
                               .drop_path = drop_path_at(options_.drop_path, index, total),
                               .site = site},
            self_attention(width, heads, true, {}));
        branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
      }
    }
    return width;
  }

  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, 1 + H W, C)
    for (const Stage& stage : stages_) {
      if (stage.pool) x = (*stage.pool)(x);
      for (const TransformerBlock& block : stage.blocks) x = block(x);
    }
    ScopeGuard guard("head");
    const Tensor token = (*norm_)(reshape(slice(x, 1, 0, 1), {x.size(0), x.size(2)}));
    const Tensor features = tap("features", token, {.kind = BlockKind::head});  // (N, C)
    return (*head_)(Dropout{options_.dropout}(features));
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    const Tensor map = (*patch_embed_)(images);
    const Tensor x = map + pos_embed_->as(map.dtype());  // (N, H, W, C)
    const int64_t n = x.size(0), c = x.size(3);
    const Tensor token = expand(cls_token_->as(x.dtype()), Shape{n, 1, c});
    return tap("out", concat({token, reshape(x, {n, -1, c})}, 1), embedding_);
  }

  std::optional<Conv2d> patch_embed_;
  ParameterRef pos_embed_, cls_token_;
  TapSite embedding_;
  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> head_;
};

// `pit` is the small member of the family, for CIFAR in minutes; the others are the paper's.
const std::vector<NamedSpec<PitSpec>>& pit_table() {
  static const std::vector<NamedSpec<PitSpec>> rows = {
      {"pit", {.head_dim = 32, .depths = {2, 2, 2}, .heads = 2, .small = {4, 2}}},
      {"pit_ti", {.head_dim = 32}},
      {"pit_xs", {.head_dim = 48}},
      {"pit_s", {.head_dim = 48, .heads = 3}},
      {"pit_b", {.head_dim = 64, .depths = {3, 6, 4}, .heads = 4, .large = {14, 7}}}};
  return rows;
}

std::string pit_refusal(const PitSpec& spec, int64_t side) {
  const int64_t patch = spec.patches(side).size;
  if (side >= patch) return "";
  return concat_text("patches of ", patch, " pixels do not fit a ", side, "x", side,
                     " image; it takes sides from ", patch);
}

std::optional<Architecture> find_pit(const std::string& name) {
  return architecture<PoolingTransformer>("pit", find_spec(pit_table(), name), pit_refusal);
}

std::vector<std::string> pit_names() { return names_of(pit_table()); }

}  // namespace

ModelFamily pit_family() { return {find_pit, pit_names}; }

}  // namespace passband
