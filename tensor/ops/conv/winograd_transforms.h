// The transforms of Winograd's F(4x4, 3x3), see winograd.h, on vectors of channels: a column of a
// tile at a time, written out as sums for the points 0, +-a, +-b and infinity.
#pragma once
#include "tensor/cpu/product_tile.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN
namespace winograd {

inline constexpr int kPoints = 36;  // of a transformed tile, 6x6
inline constexpr int kSide = 6, kOutputs = 4, kKernel = 3;

// As `load`, but GCC 12 takes what that copies through the stack.
[[gnu::always_inline]] inline Vec<float> load_whole(const bf16* p) { return load(p); }
[[gnu::always_inline]] inline Vec<float> load_whole(const float* p) {
  typedef float Loose
      __attribute__((vector_size(kVectorBytes), aligned(alignof(float)), may_alias));
  return *reinterpret_cast<const Loose*>(p);
}

// All powers and products below are exact in f32.
inline constexpr float kA = 0.625f, kB = 1.5f;
inline constexpr float kAa = kA * kA, kBb = kB * kB, kAabb = kAa * kBb, kSum = kAa + kBb;
// The products of differences of points that Lagrange's interpolation divides by, inverted.
inline constexpr float kAtZero = static_cast<float>(1.0 / kAabb);
inline constexpr float kAtA = static_cast<float>(1.0 / (2.0 * kAa * (kAa - kBb)));
inline constexpr float kAtB = static_cast<float>(1.0 / (2.0 * kBb * (kBb - kAa)));

// B^T: 6 inputs.
struct InputTransform {
  static constexpr int kFrom = kSide, kTo = kSide;
  [[gnu::always_inline]] static void apply(const Vec<float>* d, Vec<float>* t) {
    const Vec<float> even_a = d[4] - kBb * d[2], odd_a = d[3] - kBb * d[1];
    const Vec<float> even_b = d[4] - kAa * d[2], odd_b = d[3] - kAa * d[1];
    t[0] = (d[4] - kSum * d[2]) + kAabb * d[0];
    t[1] = even_a + kA * odd_a;
    t[2] = even_a - kA * odd_a;
    t[3] = even_b + kB * odd_b;
    t[4] = even_b - kB * odd_b;
    t[5] = (d[5] - kSum * d[3]) + kAabb * d[1];
  }
};

// A^T: 4 outputs.
struct OutputTransform {
  static constexpr int kFrom = kSide, kTo = kOutputs;
  [[gnu::always_inline]] static void apply(const Vec<float>* m, Vec<float>* y) {
    const Vec<float> even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const Vec<float> even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = kA * odd_a + kB * odd_b;
    y[2] = kAa * even_a + kBb * even_b;
    y[3] = (m[5] + kA * kAa * odd_a) + kB * kBb * odd_b;
  }
};

// G: 3 weights.
struct WeightTransform {
  static constexpr int kFrom = kKernel, kTo = kSide;
  [[gnu::always_inline]] static void apply(const Vec<float>* g, Vec<float>* t) {
    const Vec<float> even_a = kAtA * g[0] + kAtA * kAa * g[2], odd_a = kAtA * kA * g[1];
    const Vec<float> even_b = kAtB * g[0] + kAtB * kBb * g[2], odd_b = kAtB * kB * g[1];
    t[0] = kAtZero * g[0];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = g[2];
  }
};

// A: 4 gradients of outputs.
struct OutputGradientTransform {
  static constexpr int kFrom = kOutputs, kTo = kSide;
  [[gnu::always_inline]] static void apply(const Vec<float>* y, Vec<float>* t) {
    const Vec<float> even_a = y[0] + kAa * y[2], odd_a = y[1] + kAa * y[3];
    const Vec<float> even_b = y[0] + kBb * y[2], odd_b = y[1] + kBb * y[3];
    t[0] = y[0];
    t[1] = even_a + kA * odd_a;
    t[2] = even_a - kA * odd_a;
    t[3] = even_b + kB * odd_b;
    t[4] = even_b - kB * odd_b;
    t[5] = y[3];
  }
};

// G^T: 3 gradients of weights.
struct WeightGradientTransform {
  static constexpr int kFrom = kSide, kTo = kKernel;
  [[gnu::always_inline]] static void apply(const Vec<float>* m, Vec<float>* g) {
    const Vec<float> even_a = kAtA * (m[1] + m[2]), odd_a = kAtA * (m[1] - m[2]);
    const Vec<float> even_b = kAtB * (m[3] + m[4]), odd_b = kAtB * (m[3] - m[4]);
    g[0] = kAtZero * m[0] + even_a + even_b;
    g[1] = kA * odd_a + kB * odd_b;
    g[2] = (m[5] + kAa * even_a) + kBb * even_b;
  }
};

// Both axes of a tile: store(row, column, value) for every element of T d T^T, d from
// load(row, column).
template <class Transform, class Load, class Store>
[[gnu::always_inline]] inline void transform_tile(Load&& load_at, Store&& store_at) {
  constexpr int from = Transform::kFrom, to = Transform::kTo;
  Vec<float> half[to][from];
  unrolled<from>([&](auto j) __attribute__((always_inline)) {
    Vec<float> column[from], result[to];
    unrolled<from>([&](auto i) __attribute__((always_inline)) { column[i] = load_at(i, j); });
    Transform::apply(column, result);
    unrolled<to>([&](auto i) __attribute__((always_inline)) { half[i][j] = result[i]; });
  });
  unrolled<to>([&](auto i) __attribute__((always_inline)) {
    Vec<float> result[to];
    Transform::apply(half[i], result);
    unrolled<to>([&](auto j) __attribute__((always_inline)) { store_at(i, j, result[j]); });
  });
}

}  // namespace winograd
PASSBAND_LEVEL_END
