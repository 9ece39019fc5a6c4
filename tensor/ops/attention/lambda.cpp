// The lambda layer: checks, the fused op, its composed gradient for higher orders, and its
// effective weights.
#include "tensor/ops/attention/lambda.h"

#include <algorithm>

#include "tensor/autograd/batch_sum.h"
#include "tensor/core/device.h"
#include "tensor/ops/attention/lambda_kernels.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

void check_map(const Tensor& t, const char* name, const Tensor& q, int64_t divisor,
               const char* channels) {
  const bool fits = t.rank() == 4 && t.dtype() == q.dtype() && t.size(0) == q.size(0) &&
                    t.size(1) == q.size(1) && t.size(2) == q.size(2);
  CHECK(fits, "lambda_layer: ", name, " must be (N, H, W, ", channels,
        ") with the map and type of q ", q, ", it is ", t);
  CHECK(t.size(3) % divisor == 0, "lambda_layer: the channels of ", name, " ", t, " must be ",
        channels, " with ", channels[0], " = ", divisor);
}

void check_parameter(const Tensor& t, const char* name, const Shape& shape, const Tensor& q) {
  const bool type = t.dtype() == q.dtype() || (q.dtype() == DType::bf16 && t.dtype() == DType::f32);
  CHECK(type && t.shape() == shape, "lambda_layer: ", name, " for q ", q, " must be ",
        name_of(q.dtype()), shape, ", it is ", t);
}

// The order with fewer products: per pair of positions h (k + v) against k v.
LambdaOrder cheaper(const LambdaShape& s) {
  return s.heads * (s.depth + s.value) < s.depth * s.value ? LambdaOrder::score_first
                                                           : LambdaOrder::lambda_first;
}

LambdaShape resolve(const LambdaTensors& x, const LambdaOptions& o) {
  const Tensor& q = x.q;
  CHECK(q.rank() == 4 && is_floating(q.dtype()),
        "lambda_layer: q must be floating point (N, H, W, h k), it is ", q);
  CHECK(o.heads >= 1 && o.depth >= 1 && o.intra_depth >= 1,
        "lambda_layer: heads, depth and intra_depth must be at least 1");
  CHECK(q.size(3) == o.heads * o.depth, "lambda_layer: q ", q,
        " must have heads * depth = ", o.heads, " * ", o.depth, " channels");
  CHECK(o.window == 0 || (o.window > 0 && o.window % 2 == 1),
        "lambda_layer: the window must be odd, or 0 for global, not ", o.window);
  check_map(x.keys, "keys", q, o.intra_depth, "u k");
  CHECK(x.keys.size(3) == o.intra_depth * o.depth, "lambda_layer: keys ", x.keys,
        " must have intra_depth * depth = ", o.intra_depth, " * ", o.depth, " channels");
  check_map(x.values, "values", q, o.intra_depth, "u v");
  LambdaShape s{.batch = q.size(0),
                .height = q.size(1),
                .width = q.size(2),
                .heads = o.heads,
                .depth = o.depth,
                .intra = o.intra_depth,
                .value = x.values.size(3) / o.intra_depth};
  // A map without positions has the table of one position.
  s.radius_y = o.window ? (o.window - 1) / 2 : std::max<int64_t>(s.height, 1) - 1;
  s.radius_x = o.window ? (o.window - 1) / 2 : std::max<int64_t>(s.width, 1) - 1;
  s.order = o.order == LambdaOrder::automatic ? cheaper(s) : o.order;
  check_parameter(x.embedding, "the embedding",
                  {s.table_height(), s.table_width(), s.depth, s.intra}, q);
  if (x.embedding_bias.defined())
    check_parameter(x.embedding_bias, "the embedding's bias", {s.depth}, q);
  return s;
}

// Row of the flattened embedding (offsets, k * u) for each (query, context), i32 (n * n); pairs
// beyond the window point past the last row.
Tensor embedding_rows(const LambdaShape& s) {
  const int64_t n = s.positions();
  Tensor rows = Tensor::empty({n * n}, DType::i32);
  for (int64_t q = 0; q < n; ++q)
    for (int64_t m = 0; m < n; ++m) {
      const int64_t dy = m / s.width - q / s.width + s.radius_y,
                    dx = m % s.width - q % s.width + s.radius_x;
      const bool inside = dy >= 0 && dy < s.table_height() && dx >= 0 && dx < s.table_width();
      rows.data<int32_t>()[q * n + m] =
          static_cast<int32_t>(inside ? dy * s.table_width() + dx : s.table_size());
    }
  return rows;
}

// The embedding of every pair as a matrix (n * k, u * n), zero beyond the window; and the adjoint.
Tensor dense_embedding(const Tensor& embedding, const LambdaShape& s) {
  const int64_t n = s.positions();
  const Tensor flat = reshape(embedding, Shape{s.table_size(), s.depth * s.intra});
  const Tensor rows = embedding_rows(s).to(flat.device());
  const Tensor pairs = gather(pad(flat, 0, 0, 1), rows);  // (n * n, k * u)
  const Tensor split = permute(reshape(pairs, Shape{n, n, s.depth, s.intra}), {0, 2, 3, 1});
  return reshape(split, Shape{n * s.depth, s.intra * n});
}
Tensor table_of(const Tensor& dense, const LambdaShape& s, const Shape& shape) {
  const int64_t n = s.positions();
  const Tensor split = permute(reshape(dense, Shape{n, s.depth, s.intra, n}), {0, 3, 1, 2});
  const Tensor rows = scatter_add(reshape(split, Shape{n * n, s.depth * s.intra}),
                                  embedding_rows(s).to(dense.device()), s.table_size() + 1);
  return reshape(slice(rows, 0, 0, s.table_size()), shape);
}

// The operands in one type, with dimensions apart.
struct Operands {
  Tensor q;        // (N, n, h, k)
  Tensor softmax;  // (N, u, k, n): keys, normalised over the positions
  Tensor values;   // (N, u, n, v)
  Tensor dense;    // (n * k, u * n)

  Operands(const LambdaTensors& x, const LambdaShape& s) {
    const int64_t n = s.positions();
    q = reshape(x.q, Shape{s.batch, n, s.heads, s.depth});
    softmax = passband::softmax(
        permute(reshape(x.keys, Shape{s.batch, n, s.intra, s.depth}), {0, 2, 3, 1}));
    if (x.values.defined())
      values = permute(reshape(x.values, Shape{s.batch, n, s.intra, s.value}), {0, 2, 1, 3});
    dense = dense_embedding(cast(x.embedding, x.q.dtype()), s);
  }
};

// (N, u, n, v) as rows (N * v, u * n) of a product with the dense embedding, and back.
Tensor value_rows(const Tensor& values, const LambdaShape& s) {
  return reshape(permute(values, {0, 3, 1, 2}), Shape{s.batch * s.value, s.intra * s.positions()});
}
Tensor rows_to_values(const Tensor& rows, const LambdaShape& s) {
  return permute(reshape(rows, Shape{s.batch, s.value, s.intra, s.positions()}), {0, 2, 3, 1});
}

// lambda[b, n, k, v] = sum_u sum_m (softmax[b, u, k, m] + E[n, m, k, u]) v[b, u, m, v] + beta[k]:
// (N, n, k, v).
Tensor lambdas(const Operands& x, const Tensor& bias, const LambdaShape& s) {
  const int64_t n = s.positions();
  const Tensor content = sum(matmul(x.softmax, x.values), {1});  // (N, k, v)
  // (N * v, n * k)
  const Tensor rows = matmul(value_rows(x.values, s), x.dense, {.transpose_b = true});
  const Tensor position = permute(reshape(rows, Shape{s.batch, s.value, n, s.depth}), {0, 2, 3, 1});
  const Tensor both = position + reshape(content, Shape{s.batch, 1, s.depth, s.value});
  return bias.defined() ? both + reshape(cast(bias, both.dtype()), Shape{s.depth, 1}) : both;
}

// y[b, n, h, v] = sum_k q[b, n, h, k] lambda[b, n, k, v]. With G = sum_h q dy^T, the gradient of
// lambda:
//   dq = lambda dy,  dbeta = sum G,  dE = G v^T,  dv = softmax^T (sum_n G) + E^T G,  dsoftmax =
//   (sum_n G) v^T.
struct LambdaLayer {
  static constexpr auto name = "lambda_layer";
  static constexpr auto saves = Save::input;
  LambdaShape s;

  Attributes attributes() const {
    const auto number = [](int64_t value) { return std::vector{static_cast<double>(value)}; };
    return {{"heads", number(s.heads)},
            {"depth", number(s.depth)},
            {"intra", number(s.intra)},
            {"radius", {static_cast<double>(s.radius_y), static_cast<double>(s.radius_x)}}};
  }
  Tensor forward(const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& embedding,
                 const Tensor& bias) {
    Tensor y = Tensor::empty(q.shape().with(3, s.heads * s.value), q.dtype(), q.device());
    if (y.numel() == 0) return y;
    DISPATCH(q.device(), lambda_forward, y, LambdaTensors{q, keys, values, embedding, bias}, s);
    return y;
  }

  Grads backward(const Saved& saved, const Tensor& dy) const {
    const LambdaTensors x{saved.input(0), saved.input(1), saved.input(2), saved.input(3),
                          saved.input(4)};
    if (recording()) return composed(x, dy);
    const auto like = [](const Tensor& t) {
      return t.defined() ? Tensor::empty_like(t) : Tensor{};
    };
    const auto sum_like = [&](const Tensor& t) {
      return t.defined() ? batch_sum_like(t, s.batch) : Tensor{};
    };
    const LambdaTensors dx{like(x.q), like(x.keys), like(x.values), sum_like(x.embedding),
                           sum_like(x.embedding_bias)};
    DISPATCH(x.q.device(), lambda_backward, dx, dy, x, s);
    return {dx.q, dx.keys, dx.values, dx.embedding, dx.embedding_bias};
  }

 private:
  Grads composed(const LambdaTensors& t, const Tensor& gradient) const {
    const int64_t n = s.positions();
    const Operands x(t, s);
    const Tensor dy = reshape(gradient, Shape{s.batch, n, s.heads, s.value});
    const Tensor dq = matmul(dy, lambdas(x, t.embedding_bias, s), {.transpose_b = true});
    const Tensor g = matmul(x.q, dy, {.transpose_a = true});  // (N, n, k, v)
    const Tensor content = sum(g, {1}, true);                 // (N, 1, k, v)
    const Tensor spread = expand(content, Shape{s.batch, s.intra, s.depth, s.value});
    const Tensor dsoftmax = matmul(spread, x.values, {.transpose_b = true});  // (N, u, k, n)
    const Tensor dkeys = x.softmax * (dsoftmax - sum(dsoftmax * x.softmax, {3}, true));
    const Tensor rows = reshape(permute(g, {0, 3, 1, 2}), Shape{s.batch * s.value, n * s.depth});
    const Tensor dvalues =
        matmul(x.softmax, spread, {.transpose_a = true}) + rows_to_values(matmul(rows, x.dense), s);
    const Tensor ddense = matmul(rows, value_rows(x.values, s), {.transpose_a = true});
    const Tensor dbias = t.embedding_bias.defined()
                             ? cast(sum(content, {0, 1, 3}), t.embedding_bias.dtype())
                             : Tensor{};
    return {reshape(dq, t.q.shape()), reshape(permute(dkeys, {0, 3, 1, 2}), t.keys.shape()),
            reshape(permute(dvalues, {0, 2, 1, 3}), t.values.shape()),
            cast(table_of(ddense, s, t.embedding.shape()), t.embedding.dtype()), dbias};
  }
};

}  // namespace

Tensor lambda_layer(const Tensor& q, const Tensor& keys, const Tensor& values,
                    const Tensor& embedding, const Tensor& embedding_bias,
                    const LambdaOptions& options) {
  const LambdaShape s = resolve({q, keys, values, embedding, embedding_bias}, options);
  return apply(LambdaLayer{s}, q, keys, values, embedding, embedding_bias);
}

Tensor lambda_weights(const Tensor& q, const Tensor& keys, const Tensor& embedding,
                      const LambdaOptions& options) {
  CHECK(options.intra_depth == 1, "lambda_weights: only for intra_depth 1, it is ",
        options.intra_depth);
  const LambdaShape s = resolve({q, keys, keys, embedding, {}}, options);
  const Operands x({q, keys, {}, embedding, {}}, s);
  const int64_t n = s.positions();
  const Tensor content = matmul(reshape(x.q, Shape{s.batch, n * s.heads, s.depth}),
                                reshape(x.softmax, Shape{s.batch, s.depth, n}));  // (N, n * h, n)
  const Tensor by_query = reshape(permute(x.q, {1, 0, 2, 3}), Shape{n, s.batch * s.heads, s.depth});
  // (n, N * h, n)
  const Tensor position = matmul(by_query, reshape(x.dense, Shape{n, s.depth, n}));
  return permute(reshape(content, Shape{s.batch, n, s.heads, n}), {0, 2, 1, 3}) +
         permute(reshape(position, Shape{n, s.batch, s.heads, n}), {1, 2, 0, 3});
}

}  // namespace passband
