// Lesson 3: attention from matmul and softmax, and what follows from it. The page is README.md.
#include <cmath>
#include <cstdio>

#include <passband/passband.h>

using namespace passband;

namespace {

// q (T, d), k (S, d) -> the weights (T, S); each row is positive and adds up to 1.
Tensor weights_of(const Tensor& q, const Tensor& k) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(1)));
  return softmax(matmul(q, k, {.transpose_b = true}) * scale);
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  return matmul(weights_of(q, k), v);
}

double largest(const Tensor& x) { return max(reshape(abs(x), {x.numel()}), 0).item(); }

void show(const char* title, const Tensor& matrix) {
  std::printf("%s\n", title);
  for (int64_t row = 0; row < matrix.size(0); ++row) {
    for (int64_t column = 0; column < matrix.size(1); ++column)
      std::printf(" %6.3f", matrix.values()[static_cast<size_t>(row * matrix.size(1) + column)]);
    std::printf("\n");
  }
}

void by_hand() {
  const Tensor q = Tensor::from({4, 0, 0, 4, 0, 0}, {3, 2});
  const Tensor k = Tensor::from({1, 0, 0, 1, 1, 1, -1, -1}, {4, 2});
  const Tensor v = Tensor::from({10, 0, 0, 10, 5, 5, 0, 0}, {4, 2});
  show("weights: three queries, four keys", weights_of(q, k));
  show("results", attention(q, k, v));
}

void what_follows() {
  Generator random(1);
  const int64_t tokens = 6, depth = 8;
  const Tensor q = Tensor::randn({tokens, depth}, random.next());
  const Tensor k = Tensor::randn({tokens, depth}, random.next());
  const Tensor v = Tensor::randn({tokens, depth}, random.next());
  const Tensor result = attention(q, k, v);
  const auto four = [&](const Tensor& x) { return reshape(x, {1, 1, tokens, depth}); };
  const Tensor fused = scaled_dot_product_attention(four(q), four(k), four(v));
  std::printf("\nby hand and by the library: %s\n",
              largest(result - reshape(fused, {tokens, depth})) < 1e-5 ? "equal" : "different");
  const Tensor uniform = attention(Tensor::zeros(q.shape()), k, v);
  std::printf("queries of zero give the mean of the values: %s\n",
              largest(uniform - mean(v, {0}, true)) < 1e-5 ? "yes" : "no");
  const Tensor turned = attention(q, flip(k, 0), flip(v, 0));
  std::printf("keys and values in another order: %s\n",
              largest(turned - result) < 1e-5 ? "the same result" : "another result");
  double outside = 0;  // how far a result leaves the range of the values
  const std::vector<double> low = min(v, 0).values(), high = max(v, 0).values();
  for (size_t i = 0; i < result.values().size(); ++i) {
    const double value = result.values()[i];
    outside = std::max({outside, low[i % depth] - value, value - high[i % depth]});
  }
  std::printf("no result is larger or smaller than all values: %s\n", outside <= 0 ? "yes" : "no");
}

// How many keys a query looks at, as exp(entropy): 64 if all alike, 1 if only one.
double keys_looked_at(const Tensor& weights) {
  return std::exp(-mean(sum(weights * log(weights + 1e-30), {1})).item());
}

void why_the_scale() {
  Generator random(2);
  std::printf("\nof 64 keys, a query of random numbers looks at\n depth   scaled   not scaled\n");
  for (const int64_t depth : {4, 16, 64, 256}) {
    const Tensor q = Tensor::randn({256, depth}, random.next());
    const Tensor k = Tensor::randn({64, depth}, random.next());
    const Tensor raw = softmax(matmul(q, k, {.transpose_b = true}));
    std::printf("%6lld   %6.1f   %10.1f\n", static_cast<long long>(depth),
                keys_looked_at(weights_of(q, k)), keys_looked_at(raw));
  }
}

}  // namespace

int main() {
  by_hand();
  what_follows();
  why_the_scale();
}
