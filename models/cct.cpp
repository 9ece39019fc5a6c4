// Compact convolutional transformer.
#include "models/cct.h"

#include "models/named_spec.h"
#include "models/transformer_block.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/linearise.h"
#include "tensor/core/text.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/pool.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

constexpr double kCctEps = 1e-5;

struct CctSpec {
  int64_t width = 128, depth = 2, heads = 2, hidden = 128;
  int64_t kernel = 3, convolutions = 2;
};

// Convolution, ReLU and a 3x3 max-pool of stride 2, one or more times: (N, H, W, 3) -> (N, T, C).
class Tokenizer {
 public:
  Tokenizer(const Scope& scope, const CctSpec& spec, int64_t side) : grid_{side, side} {
    for (int64_t i = 0; i < spec.convolutions; ++i) {
      const int64_t out = i + 1 == spec.convolutions ? spec.width : 64, in = i == 0 ? 3 : 64;
      const int64_t cells = spec.kernel * spec.kernel;
      convs_.emplace_back(scope / "conv_layers" / std::to_string(i) / "0", in, out, grid_,
                          Conv2dOptions{.kernel = spec.kernel,
                                        .stride = spec.kernel == 3 ? 1 : 2,
                                        .weight_init = Init::fan_out_normal(cells * in)});
      grid_ = convs_.back().out_grid.strided(3, 2, 1);
    }
  }

  Tensor operator()(const Tensor& images) const {
    Tensor x = images;
    for (const Conv2d& conv : convs_)
      x = max_pool2d(relu(conv(x)), {.kernel = 3, .stride = 2, .padding = 1});
    return reshape(x, {x.size(0), grid_.pixels(), x.size(3)});
  }

  Grid grid() const { return grid_; }

 private:
  std::vector<Conv2d> convs_;
  Grid grid_;
};

// x + attention(pre_norm(x)), then y + mlp(y) with y = norm1(x): what the second branch is added to
// has passed the norm.
class CctBlock {
 public:
  CctBlock(const Scope& scope, const CctSpec& spec, double drop_path, const TapSite& site)
      : pre_norm_(scope / "pre_norm", spec.width, kCctEps),
        attn_(scope / "self_attn", spec.width,
              {.heads = spec.heads,
               .qkv_bias = false,
               .linear = transformer_init(),
               .tokens = tokens_of(site)}),
        linear1_(scope / "linear1", spec.width, spec.hidden, linear(site)),
        norm1_(scope / "norm1", spec.width, kCctEps),
        linear2_(scope / "linear2", spec.hidden, spec.width, linear(site)),
        name_(scope.path()),
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
  static LinearOptions linear(const TapSite& site) {
    return over_rows(transformer_init(), tokens_of(site));
  }

  Tensor attend(const Tensor& x) const {
    ScopeGuard guard("msa");
    return add_branch([&](const Tensor& r) { return attn_(pre_norm_(x), msa_site_, r); }, x,
                      drop_path_, msa_site_);
  }

  Tensor feed_forward(const Tensor& x) const {
    ScopeGuard guard("mlp");
    const Tensor y = norm1_(x);
    return add_branch([&](const Tensor& r) { return linear2_(gelu_gate(linear1_(y)), r); }, y,
                      drop_path_, mlp_site_);
  }

  LayerNorm pre_norm_;
  SelfAttention attn_;
  Linear linear1_;
  LayerNorm norm1_;
  Linear linear2_;
  std::string name_;
  DropPath drop_path_;
  TapSite msa_site_, mlp_site_;
};

class CompactTransformer final : public Model {
 public:
  CompactTransformer(const std::string& name, const CctSpec& spec, const ModelOptions& options) {
    name_ = name;
    family_ = "cct";
    options_ = options;
    const Scope root(store_), classifier = root / "classifier";
    tokenizer_.emplace(root / "tokenizer", spec, options.image_size);
    const Grid grid = tokenizer_->grid();
    embedding_ = {
        .kind = BlockKind::embedding, .height = grid.height, .width = grid.width, .prefix = 0};
    embedding_.patch = static_cast<double>(options.image_size) / static_cast<double>(grid.height);
    positional_emb_ = classifier.parameter("positional_emb", {1, grid.pixels(), spec.width},
                                           Init::truncated_normal(0.2), Layout::same, false);
    attention_pool_.emplace(classifier / "attention_pool", spec.width, 1,
                            over_rows(transformer_init(), grid.pixels()));
    for (int64_t i = 0; i < spec.depth; ++i) {
      blocks_.emplace_back(classifier / "blocks" / std::to_string(i), spec,
                           drop_path_at(options.drop_path, i, spec.depth), embedding_);
      branches_.insert(branches_.end(), {BlockKind::msa, BlockKind::mlp});
    }
    norm_.emplace(classifier / "norm", spec.width, kCctEps);
    fc_.emplace(classifier / "fc", spec.width, options.classes, transformer_init());
    macs_ = store_.macs();
  }

 private:
  Tensor forward(const Tensor& images) const override {
    Tensor x = embed(images);  // (N, T, D)
    for (const CctBlock& block : blocks_) x = block(x);
    ScopeGuard guard("head");
    x = (*norm_)(x);
    const Tensor weights = held(softmax((*attention_pool_)(x), 1));  // (N, T, 1)
    const Tensor pooled = matmul(weights, x, {.transpose_a = true});
    const Tensor features = tap("features", reshape(pooled, {x.size(0), x.size(2)}),
                                {.kind = BlockKind::head});  // (N, D)
    return (*fc_)(Dropout{options_.dropout}(features));
  }

  Tensor embed(const Tensor& images) const {
    ScopeGuard guard("embedding");
    const Tensor tokens = (*tokenizer_)(images);
    return tap("out", tokens + positional_emb_->as(tokens.dtype()), embedding_);
  }

  std::optional<Tokenizer> tokenizer_;
  TapSite embedding_;
  ParameterRef positional_emb_;
  std::optional<Linear> attention_pool_;
  std::vector<CctBlock> blocks_;
  std::optional<LayerNorm> norm_;
  std::optional<Linear> fc_;
};

const std::vector<NamedSpec<CctSpec>>& cct_table() {
  static const CctSpec two = {128, 2, 2, 128}, four = {128, 4, 2, 128}, six = {256, 6, 4, 512},
                       seven = {256, 7, 4, 512}, fourteen = {384, 14, 6, 1152};
  const auto with = [](CctSpec spec, int64_t kernel, int64_t convolutions) {
    spec.kernel = kernel;
    spec.convolutions = convolutions;
    return spec;
  };
  static const std::vector<NamedSpec<CctSpec>> rows = {
      {"cct_2_3x2", with(two, 3, 2)},   {"cct_4_3x2", with(four, 3, 2)},
      {"cct_6_3x1", with(six, 3, 1)},   {"cct_6_3x2", with(six, 3, 2)},
      {"cct_7_3x1", with(seven, 3, 1)}, {"cct_7_3x2", with(seven, 3, 2)},
      {"cct_7_7x2", with(seven, 7, 2)}, {"cct_14_7x2", with(fourteen, 7, 2)}};
  return rows;
}

std::optional<Architecture> find_cct(const std::string& name) {
  return architecture<CompactTransformer>("cct", find_spec(cct_table(), name));
}

std::vector<std::string> cct_names() { return names_of(cct_table()); }

}  // namespace

ModelFamily cct_family() { return {find_cct, cct_names}; }

}  // namespace passband
