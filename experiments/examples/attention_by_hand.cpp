// Self-attention built from matmul and softmax equals the layer, which runs in one fused pass: the
// result, and the gradient with respect to what goes in.
//
// Prints:
//   results agree to 1e-5
//   gradients agree to 1e-5
#include <passband/passband.h>

#include <cmath>
#include <cstdio>

using namespace passband;

namespace {

constexpr int64_t kBatch = 2, kTokens = 10, kWidth = 24, kHeads = 3, kDepth = kWidth / kHeads;

// (N, T, 3 width) -> queries (part 0), keys (1) or values (2) of every head, (N, heads, T, depth)
Tensor heads_of(const Tensor& qkv, int64_t part) {
  const Tensor packed = slice(qkv, 2, part * kWidth, kWidth);
  return permute(reshape(packed, {kBatch, kTokens, kHeads, kDepth}), {0, 2, 1, 3});
}

// softmax(q k^T / sqrt(depth)) v, the heads side by side again, through the layer's projections
Tensor by_hand(const SelfAttention& layer, const Tensor& x) {
  const Tensor qkv = layer.qkv(x);
  const Tensor logits = matmul(heads_of(qkv, 0), heads_of(qkv, 1), {.transpose_b = true});
  const Tensor weights = softmax(logits / std::sqrt(double{kDepth}));  // (N, heads, T, T)
  const Tensor mixed = matmul(weights, heads_of(qkv, 2));              // (N, heads, T, depth)
  return layer.proj(reshape(permute(mixed, {0, 2, 1, 3}), {kBatch, kTokens, kWidth}));
}

void compare(const char* what, const Tensor& a, const Tensor& b) {
  const double difference = max(reshape(abs(a - b), {a.numel()}), 0).item();
  std::printf("%s %s to 1e-5\n", what, difference < 1e-5 ? "agree" : "do not agree");
}

}  // namespace

int main() {
  Generator random(1);
  ParameterStore store;
  const SelfAttention layer(Scope(store) / "attention", kWidth, {.heads = kHeads});
  store.build(/*seed=*/2);
  const Tensor x = Tensor::randn({kBatch, kTokens, kWidth}, random.next()).leaf();
  const Tensor direction = Tensor::randn(x.shape(), random.next());

  const Tensor ours = by_hand(layer, x), fused = layer(x);
  compare("results", ours, fused);
  compare("gradients", grad(sum(ours * direction), {x})[0], grad(sum(fused * direction), {x})[0]);
}
