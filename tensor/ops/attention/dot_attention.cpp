// Scaled dot-product attention, composed.
#include "tensor/ops/attention/dot_attention.h"

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
  Tensor mask = Tensor::empty({queries, keys}, DType::u8);
  for (int64_t i = 0; i < queries * keys; ++i)
    mask.data<uint8_t>()[i] = i % keys <= i / keys ? 1 : 0;
  return mask.to(device);
}

// What a mask shows, u8.
Tensor shown_by(const Tensor& mask) {
  if (mask.dtype() == DType::u8) return mask;
  return gt(mask.detach(), -std::numeric_limits<double>::infinity());
}

// Which pairs of `scores` see one another, u8; undefined where all do.
Tensor visible_pairs(const Tensor& shown, const Tensor& scores, bool causal) {
  if (!causal) return shown;
  const Tensor before = causal_mask(scores.size(-2), scores.size(-1), scores.device());
  return shown.defined() ? where(shown, before, 0.0) : before;
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask, const DotAttentionOptions& options) {
  check(q, k, v);
  const int64_t batch = q.size(0), heads = q.size(1), groups = k.size(1), keys = k.size(2);
  const int64_t rows = heads / groups * q.size(2);  // that share a key head
  const Shape shape{batch, heads, q.size(2), keys};
  check_mask(mask, q, shape);
  const double scale =
      options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(3)));
  const Tensor queries = reshape(q * scale, Shape{batch, groups, rows, q.size(3)});
  Tensor scores = reshape(matmul(queries, k, {.transpose_b = true}), shape);
  const Tensor shown = mask.defined() ? shown_by(mask) : Tensor{};
  if (mask.defined() && mask.dtype() != DType::u8) scores = scores + where(shown, mask, 0.0);
  const Tensor visible = visible_pairs(shown, scores, options.causal);
  Tensor weights = softmax(visible.defined() ? where(visible, scores, kHidden) : scores);
  if (mask.defined()) weights = where(visible, weights, 0.0);  // rows that see nothing
  const Tensor y = matmul(reshape(weights, Shape{batch, groups, rows, keys}), v);
  return reshape(y, Shape{batch, heads, q.size(2), v.size(3)});
}

}  // namespace passband
