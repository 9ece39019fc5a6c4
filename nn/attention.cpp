// Self-attention layers.
#include "nn/attention.h"

#include "nn/linearise.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Attention in one fused pass, or in its two halves when somebody wants to see the probabilities or
// hold them constant.
Tensor mix(const Tensor& qkv, const Tensor& bias, const AttentionOptions& options,
           const TapSite& site) {
  if (!tapped("attention") && !context().linearised) return attention(qkv, bias, options);
  const Tensor probabilities = held(attention_probabilities(qkv, bias, options));
  return attention_output(tap("attention", probabilities, site), qkv, options);
}

// Shows queries, keys and values of packed projections (..., 3 heads d).
Tensor shown_parts(const Tensor& packed, const std::string& weight) {
  if (!tapped("q") && !tapped("k") && !tapped("v")) return packed;
  const int last = packed.rank() - 1;
  const int64_t width = packed.size(last) / 3;
  std::vector<Tensor> parts;
  for (const char* name : {"q", "k", "v"})
    parts.push_back(tap_layer(name, slice(packed, last, std::ssize(parts) * width, width), weight,
                              BlockKind::msa, 2));
  return concat(parts, last);
}

// From the input of the projection to what the heads give: (..., heads d).
Tensor attend(const Linear& qkv, const Tensor& x, const Tensor& bias,
              const AttentionOptions& options, const TapSite& site) {
  const std::string& weight = qkv.weight->name;
  const Tensor packed = shown_parts(qkv.untapped(x), weight);
  return tap_layer("heads", mix(packed, bias, options, site), weight, BlockKind::msa, 2);
}

}  // namespace

SelfAttention::SelfAttention(const Scope& scope, int64_t width, const Options& options)
    : qkv(scope / "qkv", width, 3 * width,
          over_rows(options.linear, options.tokens, options.qkv_bias)),
      proj(scope / "proj", width, width, over_rows(options.linear, options.tokens)),
      heads(options.heads) {
  CHECK(width % heads == 0, scope.path(), ": ", heads, " heads do not divide a width of ", width);
  qkv.weight->heads = heads;
  scope.count_macs(2 * options.tokens * options.tokens * width);
}

Tensor SelfAttention::operator()(const Tensor& x, const TapSite& site,
                                 const Tensor& residual) const {
  return proj(attend(qkv, x, {}, {.heads = heads}, site), residual);
}

WindowAttention::WindowAttention(const Scope& scope, int64_t in, int64_t out, Grid grid,
                                 const Options& options)
    : qkv(scope / "qkv", in, 3 * options.heads * options.head_dim,
          over_rows(options.linear, grid.pixels(), options.qkv_bias)),
      proj(scope / "proj", options.heads * options.head_dim, out,
           over_rows(options.linear, grid.pixels())),
      options(options) {
  const int64_t w = options.window;
  CHECK(w >= 1 && grid.height % w == 0 && grid.width % w == 0, scope.path(), ": windows of ", w,
        "x", w, " do not tile a ", grid.height, "x", grid.width, " map");
  qkv.weight->heads = options.heads;
  const int64_t side = 2 * w - 1;
  if (options.has_table) {
    relative_position_bias_table = scope.parameter(
        "relative_position_bias_table", {side * side, options.bias_per_head ? options.heads : 1},
        Init::normal(0.02), Layout::same, false);
    relative_position_bias_table->query_minus_key = options.query_minus_key;
  }
  scope.count_macs(2 * grid.pixels() * w * w * options.heads * options.head_dim);
  if (options.kernel == 0) return;
  CHECK(options.heads * options.head_dim == in, scope.path(), ": ", options.heads, " heads of ",
        options.head_dim, " channels beside a convolution of ", in);
  dwconv.emplace(scope / "dwconv", in, in, grid,
                 Conv2dOptions{.kernel = options.kernel, .groups = in, .bias = true});
}

Tensor WindowAttention::operator()(const Tensor& x, const TapSite& site,
                                   const Tensor& residual) const {
  TapSite here = site;
  here.window = options.window;
  here.shift = options.shift;
  // Negated, a position is as far from the end of the table as it was from its start.
  Tensor table;
  if (options.has_table) table = relative_position_bias_table->value;
  const Tensor heads =
      attend(qkv, x, options.has_table && options.query_minus_key ? flip(table, 0) : table,
             {.heads = options.heads, .window = options.window, .shift = options.shift}, here);
  return proj(dwconv ? heads + (*dwconv)(x) : heads, residual);
}

}  // namespace passband
