// Scaled dot-product attention, composed.
#include "tensor/ops/dot_attention.h"

#include <cmath>
#include <limits>

#include "tensor/ops/mask.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

constexpr double kHidden = -1e30;  // a score whose exponential is 0 beside any other

void check(const Tensor& q, const Tensor& k, const Tensor& v) {
  const char* const op = "scaled_dot_product_attention";
  CHECK(q.defined() && k.defined() && v.defined() && q.rank() == 4 && k.rank() == 4 &&
            v.rank() == 4 && is_floating(q.dtype()),
        op, ": takes floating-point (B, heads, tokens, depth): q is ", q, ", k is ", k, ", v is ",
        v);
  CHECK(k.dtype() == q.dtype() && v.dtype() == q.dtype(), op, ": element types differ: q is ", q,
        ", k is ", k, ", v is ", v);
  CHECK(k.device() == q.device() && v.device() == q.device(), op, ": devices differ: q is ", q,
        ", k is ", k, ", v is ", v);
  CHECK(k.size(0) == q.size(0) && v.shape() == k.shape().with(-1, v.size(-1)) &&
            k.size(-1) == q.size(-1) && k.size(2) >= 1,
        op, ": q (B, heads, T, d), k (B, groups, S, d) and v (B, groups, S, e) do not fit: q is ",
        q, ", k is ", k, ", v is ", v);
  CHECK(k.size(1) >= 1 && q.size(1) % k.size(1) == 0, op, ": the ", k.size(1), " heads of k ", k,
        " do not divide the ", q.size(1), " of q ", q);
}

void check_mask(const Tensor& mask, const Tensor& q, const Shape& scores) {
  if (!mask.defined()) return;
  const char* const op = "scaled_dot_product_attention";
  CHECK(mask.dtype() == DType::u8 || mask.dtype() == q.dtype(), op,
        ": the mask is u8 (0 hides) or of the type of q ", q, " (added), not ", mask);
  bool stretches = mask.rank() <= 4;
  for (int d = 1; stretches && d <= mask.rank(); ++d)
    stretches = mask.size(-d) == 1 || mask.size(-d) == scores[-d];
  CHECK(stretches && mask.device() == q.device(), op, ": mask ", mask,
        " does not stretch to the scores ", scores, " of q ", q);
}

// (T, S) u8: 1 where key s <= query t.
Tensor causal_mask(int64_t queries, int64_t keys, Device device) {
  const Tensor mask = Tensor::empty({queries, keys}, DType::u8);
  for (int64_t i = 0; i < queries * keys; ++i)
    mask.data<uint8_t>()[i] = i % keys <= i / keys ? 1 : 0;
  return mask.to(device);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask, const DotAttentionOptions& options) {
  check(q, k, v);
  const int64_t batch = q.size(0), heads = q.size(1), queries = q.size(2), depth = q.size(3),
                groups = k.size(1), keys = k.size(2);
  const Shape shape{batch, heads, queries, keys};
  check_mask(mask, q, shape);
  const double scale =
      options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(depth));
  const int64_t rows = heads / groups * queries;  // that share a key head
  Tensor scores =
      matmul(reshape(q * scale, Shape{batch, groups, rows, depth}), k, {.transpose_b = true});
  scores = reshape(scores, shape);
  Tensor visible;
  if (mask.defined()) {
    const bool added = mask.dtype() != DType::u8;
    visible = added ? gt(mask.detach(), -std::numeric_limits<double>::infinity()) : mask;
    if (added) scores = scores + where(visible, mask, 0.0);
  }
  if (options.causal) {
    const Tensor causal = causal_mask(queries, keys, q.device());
    visible = visible.defined() ? where(visible, causal, 0.0) : causal;
  }
  Tensor weights = softmax(visible.defined() ? where(visible, scores, kHidden) : scores);
  if (mask.defined()) weights = where(visible, weights, 0.0);  // rows that see nothing
  const Tensor y = matmul(reshape(weights, Shape{batch, groups, rows, keys}), v);
  return reshape(y, Shape{batch, heads, queries, v.size(3)});
}

}  // namespace passband
