// Products of matrices of any shape, in f32, bf16 and f64.
#pragma once
#include <cstdint>

#include "tensor/core/dtype.h"
#include "tensor/cpu/level_code.h"

PASSBAND_LEVEL_BEGIN

template <class T> struct Product {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;  // stored (k, m), (n, k)
  const T *a = nullptr, *b = nullptr;
  T* c = nullptr;
  const T* bias = nullptr;      // (n), added to every row; null: none
  const T* residual = nullptr;  // (batch, m, n), added; null: none

  // Of one matrix of the batch.
  Product at(int64_t i) const {
    Product one = *this;
    one.batch = 1;
    one.a += i * m * k;
    one.b += i * k * n;
    one.c += i * m * n;
    if (residual) one.residual += i * m * n;
    return one;
  }
};

// c (batch, m, n) = a (batch, m, k) b (batch, k, n) + bias + residual, summed in f32 (f64 for f64)
// and rounded once; k is at least 1. The order of every sum depends on the shape alone.
template <class T> void product(const Product<T>& p);

extern template void product(const Product<float>&);
extern template void product(const Product<bf16>&);
extern template void product(const Product<double>&);

PASSBAND_LEVEL_END
