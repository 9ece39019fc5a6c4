// Attention: checks, the fused op with its composed gradient for higher orders, and its two halves
// for taps.
#include "tensor/ops/attention/attention.h"

#include <cmath>

#include "tensor/autograd/batch_sum.h"
#include "tensor/core/device.h"
#include "tensor/ops/attention/attention_kernels.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/softmax.h"

namespace passband {
namespace {

void check_bias(const AttentionShape& s, const Tensor& qkv, const Tensor& bias) {
  if (!bias.defined()) return;
  CHECK(qkv.rank() == 4 && s.window_height == s.window_width,
        "attention: a relative-position bias needs square windows "
        "of qkv (N, H, W, 3 heads d), qkv is ",
        qkv);
  const int64_t entries = s.table_side() * s.table_side();
  CHECK(
      bias.rank() == 2 && bias.size(0) == entries && (bias.size(1) == s.heads || bias.size(1) == 1),
      "attention: the bias of ", s.window_width, "x", s.window_width, " windows and ", s.heads,
      " heads is [", entries, ", ", s.heads, "] or [", entries, ", 1], it is ", bias);
  CHECK(bias.dtype() == qkv.dtype() || (qkv.dtype() == DType::bf16 && bias.dtype() == DType::f32),
        "attention: the bias must have the type of qkv ", qkv, " (or f32 for bf16), it is ", bias);
}

AttentionShape resolve(const Tensor& qkv, const Tensor& bias, const AttentionOptions& options) {
  CHECK((qkv.rank() == 3 || qkv.rank() == 4) && is_floating(qkv.dtype()),
        "attention: qkv must be floating point (B, T, 3 heads d) or (N, H, W, 3 heads d), it is ",
        qkv);
  CHECK(options.heads >= 1 && qkv.size(-1) % (3 * options.heads) == 0, "attention: ", options.heads,
        " heads do not divide the channels of qkv ", qkv, ", which must be 3 * heads * d");
  AttentionShape s{
      .batch = qkv.size(0), .heads = options.heads, .depth = qkv.size(-1) / (3 * options.heads)};
  s.height = qkv.rank() == 4 ? qkv.size(1) : 1;
  s.width = qkv.size(-2);
  s.window_height = s.height;
  s.window_width = s.width;
  if (options.window > 0) {
    CHECK(qkv.rank() == 4, "attention: windows need qkv (N, H, W, 3 heads d), it is ", qkv);
    CHECK(s.height % options.window == 0 && s.width % options.window == 0, "attention: window ",
          options.window, " does not divide the ", s.height, "x", s.width, " map of qkv ", qkv);
    s.window_height = s.window_width = options.window;
  }
  CHECK(options.window >= 0 && options.shift >= 0 && options.shift <= options.window,
        "attention: shift ", options.shift, " must be from 0 to the window, which is ",
        options.window);
  s.shift = options.shift;
  s.scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(s.depth));
  check_bias(s, qkv, bias);
  return s;
}

// (batch, height, width, C) in any grouping of the leading dimensions -> (groups, tokens, C) of
// shifted windows.
Tensor to_windows(const Tensor& x, const AttentionShape& s) {
  const int64_t C = x.size(-1), rows = s.height / s.window_height,
                across = s.width / s.window_width;
  if (s.windows() == 1 && s.shift == 0) return reshape(x, Shape{s.groups(), s.tokens(), C});
  Tensor map = reshape(x, Shape{s.batch, s.height, s.width, C});
  if (s.shift > 0) map = roll(roll(map, 1, -s.shift), 2, -s.shift);
  const Tensor split =
      reshape(map, Shape{s.batch, rows, s.window_height, across, s.window_width, C});
  return reshape(permute(split, {0, 1, 3, 2, 4, 5}), Shape{s.groups(), s.tokens(), C});
}

// The inverse, into `shape`.
Tensor from_windows(const Tensor& x, const AttentionShape& s, const Shape& shape) {
  const int64_t C = x.size(-1), rows = s.height / s.window_height,
                across = s.width / s.window_width;
  if (s.windows() == 1 && s.shift == 0) return reshape(x, shape);
  const Tensor split = reshape(x, Shape{s.batch, rows, across, s.window_height, s.window_width, C});
  Tensor map = reshape(permute(split, {0, 1, 3, 2, 4, 5}), Shape{s.batch, s.height, s.width, C});
  if (s.shift > 0) map = roll(roll(map, 1, s.shift), 2, s.shift);
  return reshape(map, shape);
}

// (groups, tokens, heads * d) -> (groups, heads, tokens, d), and back.
Tensor split_heads(const Tensor& x, const AttentionShape& s) {
  return permute(reshape(x, Shape{s.groups(), s.tokens(), s.heads, s.depth}), {0, 2, 1, 3});
}
Tensor join_heads(const Tensor& x, const AttentionShape& s) {
  return reshape(permute(x, {0, 2, 1, 3}), Shape{s.groups(), s.tokens(), s.heads * s.depth});
}

// Queries (0), keys (1) or values (2) of all heads: (groups, heads, tokens, d).
Tensor part(const Tensor& windows, int which, const AttentionShape& s) {
  return split_heads(slice(windows, 2, which * s.heads * s.depth, s.heads * s.depth), s);
}

// Entry of the bias table for each pair of tokens, i32 (tokens * tokens).
Tensor table_indices(const AttentionShape& s) {
  Tensor indices = Tensor::empty({s.tokens() * s.tokens()}, DType::i32);
  for (int64_t q = 0; q < s.tokens(); ++q)
    for (int64_t k = 0; k < s.tokens(); ++k)
      indices.data<int32_t>()[q * s.tokens() + k] = static_cast<int32_t>(s.table_entry(q, k));
  return indices;
}

// (windows, 1, tokens, tokens): 0 for pairs that see each other, else a number whose exponential is
// 0.
Tensor wrap_mask(const AttentionShape& s, DType dtype) {
  const int64_t T = s.tokens();
  std::vector<double> mask(static_cast<size_t>(s.windows() * T * T), 0.0);
  for (int64_t w = 0; w < s.windows(); ++w)
    for (int64_t q = 0; q < T; ++q)
      for (int64_t k = 0; k < T; ++k)
        if (s.place(w, q).wrapped != s.place(w, k).wrapped) mask[(w * T + q) * T + k] = -1e30;
  return Tensor::from(mask, {s.windows(), 1, T, T}, dtype);
}

Tensor probabilities(const Tensor& windows, const Tensor& bias, const AttentionShape& s) {
  const int64_t T = s.tokens();
  Tensor logits = matmul(part(windows, 0, s) * s.scale, part(windows, 1, s), {.transpose_b = true});
  if (bias.defined()) {
    // (T * T, heads or 1)
    const Tensor rows = gather(cast(bias, windows.dtype()), table_indices(s).to(bias.device()));
    logits = logits + permute(reshape(rows, Shape{T, T, bias.size(1)}), {2, 0, 1});
  }
  if (s.shift > 0) {
    const Tensor by_image = reshape(logits, Shape{s.batch, s.windows(), s.heads, T, T});
    logits = reshape(by_image + wrap_mask(s, windows.dtype()).to(windows.device()), logits.shape());
  }
  return softmax(logits);
}

Attributes attributes_of_shape(const AttentionShape& s) {
  const auto number = [](int64_t value) { return std::vector{static_cast<double>(value)}; };
  return {{"heads", number(s.heads)},
          {"grid", {static_cast<double>(s.height), static_cast<double>(s.width)}},
          {"window", {static_cast<double>(s.window_height), static_cast<double>(s.window_width)}},
          {"shift", number(s.shift)},
          {"scale", {s.scale}}};
}

// S = scale q k^T + B,  P = softmax(S),  y = P v.
// dv = P^T dy,  dP = dy v^T,  dS = P (dP - sum_j dP P),  dq = scale dS k,  dk = scale dS^T q,  dB =
// sum of dS over windows.
struct Attention {
  static constexpr auto name = "attention";
  static constexpr auto saves = Save::input;
  AttentionShape s;
  Buffer statistics;

  Attributes attributes() const { return attributes_of_shape(s); }
  Tensor forward(const Tensor& qkv, const Tensor& bias) {
    Tensor y = Tensor::empty(qkv.shape().with(-1, s.heads * s.depth), qkv.dtype(), qkv.device());
    if (y.numel() == 0) return y;
    const DType wide = qkv.dtype() == DType::f64 ? DType::f64 : DType::f32;
    statistics.memory = Tensor::empty({s.groups(), s.heads, 2, s.tokens()}, wide, qkv.device());
    DISPATCH(qkv.device(), attention_forward, y, statistics.memory, qkv, bias, s);
    return y;
  }

  Grads backward(const Saved& saved, const Tensor& dy) const {
    const Tensor &qkv = saved.input(0), &bias = saved.input(1);
    if (recording()) return composed(qkv, bias, dy);
    Tensor dqkv = Tensor::empty_like(qkv);
    Tensor dbias = saved.needs(1) ? batch_sum_like(bias, s.batch) : Tensor{};
    DISPATCH(qkv.device(), attention_backward, dqkv, dbias, dy, qkv, bias, statistics.memory, s);
    return {dqkv, dbias};
  }

  void release() { statistics = {}; }

 private:
  Grads composed(const Tensor& qkv, const Tensor& bias, const Tensor& gradient) const {
    const Tensor windows = to_windows(qkv, s);
    const Tensor q = part(windows, 0, s), k = part(windows, 1, s), v = part(windows, 2, s);
    const Tensor dy = split_heads(to_windows(gradient, s), s);  // (groups, heads, tokens, d)
    const Tensor p = probabilities(windows, bias, s);
    const Tensor dp = matmul(dy, v, {.transpose_b = true});
    const Tensor ds = p * (dp - sum(dp * p, {3}, true));
    const Tensor dq = join_heads(matmul(ds, k) * s.scale, s);
    const Tensor dk = join_heads(matmul(ds, q, {.transpose_a = true}) * s.scale, s);
    const Tensor dv = join_heads(matmul(p, dy, {.transpose_a = true}), s);
    return {from_windows(concat({dq, dk, dv}, 2), s, qkv.shape()),
            bias.defined() ? table_gradient(ds, bias) : Tensor{}};
  }

  Tensor table_gradient(const Tensor& ds, const Tensor& bias) const {
    Tensor all = sum(ds, {0});  // (heads, tokens, tokens)
    if (bias.size(1) == 1) all = sum(all, {0}, true);
    const Tensor rows =
        reshape(permute(all, {1, 2, 0}), Shape{s.tokens() * s.tokens(), bias.size(1)});
    return cast(scatter_add(rows, table_indices(s).to(rows.device()), bias.size(0)), bias.dtype());
  }
};

}  // namespace

Tensor attention(const Tensor& qkv, const Tensor& bias, const AttentionOptions& options) {
  return apply(Attention{resolve(qkv, bias, options)}, qkv, bias);
}

Tensor attention_probabilities(const Tensor& qkv, const Tensor& bias,
                               const AttentionOptions& options) {
  const AttentionShape s = resolve(qkv, bias, options);
  const Tensor p = probabilities(to_windows(qkv, s), bias, s);
  if (listening()) tell({"attention_probabilities", attributes_of_shape(s), {qkv, bias}, p});
  return p;
}

Tensor attention_output(const Tensor& probabilities, const Tensor& qkv,
                        const AttentionOptions& options) {
  const AttentionShape s = resolve(qkv, {}, options);
  const Shape expected{s.groups(), s.heads, s.tokens(), s.tokens()};
  CHECK(probabilities.shape() == expected && probabilities.dtype() == qkv.dtype(),
        "attention_output: probabilities of qkv ", qkv, " must be ", name_of(qkv.dtype()), expected,
        ", they are ", probabilities);
  const Tensor mixed = matmul(probabilities, part(to_windows(qkv, s), 2, s));
  const Tensor y = from_windows(join_heads(mixed, s), s, qkv.shape().with(-1, s.heads * s.depth));
  if (listening()) tell({"attention_output", attributes_of_shape(s), {probabilities, qkv}, y});
  return y;
}

}  // namespace passband
