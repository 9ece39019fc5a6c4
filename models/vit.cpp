// Vision transformer.
#include "models/vit.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/drop.h"
#include "nn/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

LinearOptions linear_options(int64_t rows = 1) {
  return {
      .weight_init = Init::truncated_normal(0.02), .bias_init = Init::constant(0), .rows = rows};
}

int64_t tokens_of(const TapSite& site) { return site.prefix + site.height * site.width; }

// x + attention(norm1(x)), then x + mlp(norm2(x)): two residual sub-blocks, each with its taps.
class TransformerBlock {
 public:
  TransformerBlock(const Scope& scope, const VitSpec& spec, int64_t number, double drop_path,
                   const TapSite& site)
      : norm1_(scope / "norm1", spec.width),
        attn_(scope / "attn", spec.width,
              {.heads = spec.heads,
               .qkv_bias = spec.qkv_bias,
               .linear = linear_options(),
               .tokens = tokens_of(site)}),
        norm2_(scope / "norm2", spec.width),
        mlp_(scope / "mlp", spec.width, 4 * spec.width, linear_options(tokens_of(site))),
        name_(scope.path()),
        has_skip_(number != spec.no_skip),
        drop_path_{drop_path},
        msa_site_(site),
        mlp_site_(site) {
    msa_site_.kind = BlockKind::msa;
    mlp_site_.kind = BlockKind::mlp;
  }

  Tensor operator()(const Tensor& x) const {
    ScopeGuard guard(name_);
    return feed_forward(attend(x));
  }

 private:
  Tensor attend(const Tensor& x) const {
    ScopeGuard guard("msa");
    if (fused()) return tap("out", attn_(norm1_(x), msa_site_, x), msa_site_);
    return add_branch(attn_(norm1_(x), msa_site_), x, msa_site_);
  }

  Tensor feed_forward(const Tensor& x) const {
    ScopeGuard guard("mlp");
    if (fused()) return tap("out", mlp_(norm2_(x), x), mlp_site_);
    return add_branch(mlp_(norm2_(x)), x, mlp_site_);
  }

  // The last product of a branch adds the skip when nobody looks at either or drops one.
  bool fused() const {
    return has_skip_ && !drop_path_.active() && !tapped("branch") && !tapped("skip");
  }

  Tensor add_branch(const Tensor& branch, const Tensor& skip, const TapSite& site) const {
    const Tensor shown = tap("branch", branch, site);
    if (!has_skip_) return tap("out", shown, site);
    return tap("out", tap("skip", skip, site) + drop_path_(shown), site);
  }

  LayerNorm norm1_;
  SelfAttention attn_;
  LayerNorm norm2_;
  Mlp mlp_;
  std::string name_;
  bool has_skip_;
  DropPath drop_path_;
  TapSite msa_site_, mlp_site_;
};

class VisionTransformer final : public Model {
 public:
  VisionTransformer(const std::string& name, const VitSpec& spec, const ModelOptions& options)
      : spec_(spec) {
    name_ = name;
    family_ = kVitFamily;
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
    for (int64_t i = 0; i < spec.depth; ++i) {
      const double depth = static_cast<double>(std::max<int64_t>(spec.depth - 1, 1));
      const double rate = options.drop_path * static_cast<double>(i) / depth;
      blocks_.emplace_back(root / "blocks" / std::to_string(i), spec, i + 1, rate, site_);
      branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
    }
    norm_.emplace(root / "norm", spec.width);
    head_.emplace(root / "head", spec.width, options.classes, linear_options());
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

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A whole number at the start of `text`, from 1.
bool take_number(std::string_view& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

std::optional<VitSpec> vit_spec(const std::string& name) {
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

std::unique_ptr<Model> make_vit(const std::string& name, const VitSpec& spec,
                                const ModelOptions& options) {
  if (options.image_size < spec.patch || options.image_size % spec.patch != 0)
    throw UsageError(concat_text("model ", name, ": patches of ", spec.patch,
                                 " pixels do not tile a ", options.image_size, "x",
                                 options.image_size, " image"));
  return std::make_unique<VisionTransformer>(name, spec, options);
}

}  // namespace passband
