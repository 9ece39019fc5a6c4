// Global self-attention with relative positions by row and by column.
#include "nn/relative_attention.h"

#include <cmath>

#include "nn/linearise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

Init inverse_root_of(int64_t depth) {
  return Init::truncated_normal(1 / std::sqrt(static_cast<double>(depth)));
}

// Logits by relative position, (B, n, 2 n - 1) with entry key - query + n - 1, to logits by key,
// (B, n, n): the rows of the flat buffer, shifted by one each.
Tensor by_key(const Tensor& x) {
  const int64_t batch = x.size(0), n = x.size(1);
  const Tensor flat = pad(reshape(pad(x, 2, 0, 1), {batch, n * 2 * n}), 1, 0, n - 1);
  return slice(slice(reshape(flat, {batch, n + 1, 2 * n - 1}), 1, 0, n), 2, n - 1, n);
}

// (B, h, T, d) of the queries, keys or values that are packed in (B, T, 3 h d).
Tensor part(const Tensor& packed, int64_t index, int64_t heads) {
  const int64_t inner = packed.size(2) / 3;
  const Tensor own = slice(packed, 2, index * inner, inner);
  return permute(reshape(own, {own.size(0), own.size(1), heads, inner / heads}), {0, 2, 1, 3});
}

}  // namespace

RelativeAttention::RelativeAttention(const Scope& scope, int64_t in, Grid grid,
                                     const Options& options)
    : qkv(scope / "qkv", in, 3 * options.heads * options.head_dim,
          {.bias = false,
           .weight_init = inverse_root_of(in),
           .layout = Layout::conv_1x1,
           .rows = grid.pixels()}),
      grid(grid),
      options(options) {
  qkv.weight->heads = options.heads;
  const Scope positions = scope / "pos_embed";
  const Init init = inverse_root_of(options.head_dim);
  height_rel = positions.parameter("height_rel", {2 * grid.height - 1, options.head_dim}, init,
                                   Layout::same, false);
  width_rel = positions.parameter("width_rel", {2 * grid.width - 1, options.head_dim}, init,
                                  Layout::same, false);
  const int64_t inner = options.heads * options.head_dim;
  scope.count_macs(grid.pixels() * inner *
                   (2 * grid.pixels() + 2 * grid.height + 2 * grid.width - 2));
}

Tensor RelativeAttention::operator()(const Tensor& x, const TapSite& site) const {
  const int64_t n = x.size(0), height = grid.height, width = grid.width, tokens = grid.pixels();
  const int64_t heads = options.heads, d = options.head_dim;
  CHECK(x.size(1) == height && x.size(2) == width, "relative attention over a ", height, "x", width,
        " map got ", x);
  const Tensor packed = reshape(qkv(x), {n, tokens, 3 * heads * d});
  const Tensor q = part(packed, 0, heads), k = part(packed, 1, heads), v = part(packed, 2, heads);
  const auto against = [&](const Tensor& queries, const ParameterRef& table) {
    return matmul(queries, table->as(x.dtype()), {.transpose_b = true});
  };
  const Tensor rows = reshape(permute(reshape(q, {n * heads, height, width, d}), {0, 2, 1, 3}),
                              {n * heads * width, height, d});  // of one column each
  const Tensor by_row = permute(
      reshape(by_key(against(rows, height_rel)), {n * heads, width, height, height}), {0, 2, 1, 3});
  const Tensor by_column = by_key(against(reshape(q, {n * heads * height, width, d}), width_rel));
  const Tensor positions = reshape(by_row, {n * heads, height, width, height, 1}) +
                           reshape(by_column, {n * heads, height, width, 1, width});
  const Tensor scores =
      matmul(q, k, {.transpose_b = true}) * (1 / std::sqrt(static_cast<double>(d)));
  const Tensor weights = held(softmax(scores + reshape(positions, {n, heads, tokens, tokens}), 3));
  const Tensor y = matmul(tap("attention", weights, site), v);  // (N, h, T, d)
  return tap_layer("heads", reshape(permute(y, {0, 2, 1, 3}), {n, height, width, heads * d}),
                   qkv.weight->name, BlockKind::msa, 2);
}

}  // namespace passband
