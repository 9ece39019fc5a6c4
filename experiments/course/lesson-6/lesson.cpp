// Lesson 6: attention does not know where a token stands; what tells it, and what lambda layers do
// about it. The page is README.md.
#include <cmath>
#include <cstdio>

#include <passband/passband.h>

using namespace passband;

namespace {

constexpr int64_t kSide = 8, kWidth = 8;

double largest(const Tensor& x) { return max(reshape(abs(x), {x.numel()}), 0).item(); }
bool equal(const Tensor& a, const Tensor& b) { return largest(a - b) < 1e-5; }
const char* yes_or_no(bool yes) { return yes ? "yes" : "no"; }

// The tokens of a picture (1, H, W, C) attend to one another.
Tensor attend(const Tensor& x) {
  const Tensor tokens = reshape(x, {1, 1, kSide * kSide, kWidth});
  return reshape(scaled_dot_product_attention(tokens, tokens, tokens), x.shape());
}

// "If I mix up the places, do I get the same results, mixed up alike?" The mixing: rows upside
// down.
template <class F> bool follows_any_order(const Tensor& x, const F& operation) {
  return equal(operation(flip(x, 1)), flip(operation(x), 1));
}

void who_knows_the_place() {
  Generator random(1);
  const Tensor x = Tensor::randn({1, kSide, kSide, kWidth}, random.next());
  const Tensor w = Tensor::randn({kWidth, 3, 3, kWidth}, random.next());
  const Tensor table = Tensor::randn({1, kSide, kSide, kWidth}, random.next());
  std::printf("places in another order give the same results in that order\n");
  const auto convolve = [&](const Tensor& t) { return conv2d(t, w, {}, {.padding = 1}); };
  const auto placed = [&](const Tensor& t) { return attend(t + table); };
  std::printf("  attention                          %s\n", yes_or_no(follows_any_order(x, attend)));
  std::printf("  convolution                        %s\n",
              yes_or_no(follows_any_order(x, convolve)));
  std::printf("  attention, a table of places added %s\n", yes_or_no(follows_any_order(x, placed)));
}

struct Lambda {
  static constexpr int64_t kDepth = 4, kWindow = 5;
  Tensor q, keys, values, embedding;
  LambdaOptions options{.heads = 2, .depth = kDepth, .window = kWindow};

  Lambda() {
    Generator random(2);
    q = Tensor::randn({1, kSide, kSide, 2 * kDepth}, random.next());
    keys = Tensor::randn({1, kSide, kSide, kDepth}, random.next());
    values = Tensor::randn({1, kSide, kSide, kWidth / 2}, random.next());
    embedding = 0.2 * Tensor::randn({kWindow, kWindow, kDepth, 1}, random.next());
  }
  Tensor whole() const { return lambda_layer(q, keys, values, embedding, {}, options); }
  // No embedding: only what the keys say.
  Tensor content() const {
    return lambda_layer(q, keys, values, Tensor::zeros_like(embedding), {}, options);
  }
  Tensor position() const { return whole() - content(); }
};

void two_parts() {
  const Lambda layer;
  Lambda mixed = layer;  // keys and values in another order, queries where they were
  mixed.keys = flip(layer.keys, 1);
  mixed.values = flip(layer.values, 1);
  std::printf("\na lambda layer: context in another order, queries where they were\n");
  std::printf("  the content part stays as it is    %s\n",
              yes_or_no(equal(mixed.content(), layer.content())));
  std::printf("  the position part stays as it is   %s\n",
              yes_or_no(equal(mixed.position(), layer.position())));

  Lambda shifted = layer;  // all of it one place down
  shifted.q = roll(layer.q, 1, 1);
  shifted.values = roll(layer.values, 1, 1);
  const auto inside = [](const Tensor& x) { return slice(x, 1, 3, kSide - 5); };
  std::printf("  a picture one row lower gives the position part one row lower  %s\n",
              yes_or_no(equal(inside(shifted.position()), inside(roll(layer.position(), 1, 1)))));

  const double content = mean(square(layer.content())).item();
  const double position = mean(square(layer.position())).item();
  std::printf("  share of the content part in the squares: %.1f %%\n",
              100 * content / (content + position));
}

}  // namespace

int main() {
  who_knows_the_place();
  two_parts();
}
