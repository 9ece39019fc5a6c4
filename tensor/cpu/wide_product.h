// Products of f32 matrices that are at least as wide as deep, with many rows: expanding 1x1
// convolutions, linear layers and their input gradients. Of 1 + n / k bytes written for each read,
// so memory counts as much as arithmetic: `a` is fetched ahead, and a result that no cache can hold
// is written past them. What each row of tiles needs of `b` lies packed in the second level.
#pragma once
#include <cstdint>

namespace passband::cpu {

struct WideProduct {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_b = false;         // b is stored (n, k)
  const float* bias = nullptr;      // (n), added to every row
  const float* residual = nullptr;  // (m, n), added
};

// c (m, n) = a (m, k) b (k, n) + bias + residual. The order of every sum is fixed: k ascending.
void wide_product(const WideProduct& shape, float* c, const float* a, const float* b);

}  // namespace passband::cpu
