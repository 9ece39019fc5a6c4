// The lambda layer.
#include "nn/lambda.h"

#include <cmath>

#include "nn/linearise.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

int64_t value_depth_of(const Scope& scope, int64_t width, int64_t heads) {
  CHECK(width % heads == 0, scope.path(), ": ", heads, " heads do not divide a width of ", width);
  return width / heads;
}

}  // namespace

LambdaLayer::LambdaLayer(const Scope& scope, int64_t width, Grid grid, const Options& o)
    : conv_qkv(
          scope / (o.timm_names ? "qkv" : "conv_qkv"), width,
          o.heads * o.depth + o.intra_depth * (o.depth + value_depth_of(scope, width, o.heads)),
          {.bias = false,
           .weight_init = o.qkv_init,
           .layout = Layout::conv_1x1,
           .rows = grid.pixels()}),
      norm_q(scope / "norm_q", o.heads * o.depth),
      norm_v(scope / "norm_v", o.intra_depth * width / o.heads),
      options(o),
      value_depth(width / o.heads) {
  const int64_t k = o.depth, u = o.intra_depth, r = o.window;
  CHECK(r == 0 || r % 2 == 1, scope.path(), ": the local window must be odd, not ", r);
  CHECK(!o.timm_names || u == 1, scope.path(), ": timm's lambda layers have an intra-depth of 1");
  if (r > 0) {
    const Scope conv = scope / (o.timm_names ? "conv_lambda" : "lambda_conv");
    const Init init = Init::fan_in_uniform(u * r * r);
    embedding = conv.parameter("weight", {r, r, k, u}, o.embedding_init.value_or(init),
                               o.timm_names ? Layout::lambda_local_timm : Layout::lambda_local);
    embedding_bias = conv.parameter("bias", {k}, init, Layout::same, false);
  } else {
    const int64_t rows = 2 * grid.height - 1, columns = 2 * grid.width - 1;
    embedding = scope.parameter("pos_emb",
                                o.timm_names ? Shape{rows, columns, k} : Shape{rows, columns, k, u},
                                o.embedding_init.value_or(Init::normal(1)));
  }
  // As published: form the content and the position lambdas (all cells of the window), then apply
  // each to the queries.
  const int64_t n = grid.pixels(), v = value_depth, reach = r > 0 ? r * r : n;
  scope.count_macs(n * k * v * u * (1 + reach) + 2 * o.heads * n * k * v);
}

Tensor LambdaLayer::operator()(const Tensor& x, const TapSite& site) const {
  const int64_t hk = options.heads * options.depth, uk = options.intra_depth * options.depth;
  const int64_t uv = options.intra_depth * value_depth;
  const Tensor qkv = conv_qkv(x);                            // (N, H, W, hk + uk + uv)
  const Tensor q = held(norm_q(slice(qkv, 3, 0, hk)));       // (N, H, W, hk)
  const Tensor keys = held(slice(qkv, 3, hk, uk));           // (N, H, W, uk)
  const Tensor values = norm_v(slice(qkv, 3, hk + uk, uv));  // (N, H, W, uv)
  const LambdaOptions o = {.heads = options.heads,
                           .depth = options.depth,
                           .intra_depth = options.intra_depth,
                           .window = options.window};
  const Shape& table = embedding->shape;
  const Tensor e =
      reshape(embedding->as(x.dtype()), {table[0], table[1], options.depth, options.intra_depth});
  if (tapped("lambda")) tap("lambda", lambda_weights(q, keys, e, o), site);
  if (tapped("lambda_content"))
    tap("lambda_content", lambda_weights(q, keys, Tensor::zeros_like(e), o), site);
  const Tensor bias = embedding_bias ? embedding_bias->as(x.dtype()) : Tensor{};
  const Tensor y = lambda_layer(q, keys, tap("lambda_values", values, site), e, bias, o);
  return tap_layer("heads", y, conv_qkv.weight->name, BlockKind::lambda, 2);
}

}  // namespace passband
