// Convolutions of our own, summed directly: NHWC, any kernel, stride, dilation, padding and number
// of groups. T is f32 or f64, or, but for the gradient of the weight, bf16 where pairs of it can be
// multiplied; then sums and results are f32.
#pragma once
#include "tensor/core/dtype.h"
#include "tensor/cpu/level_code.h"
#include "tensor/ops/conv/shape.h"

PASSBAND_LEVEL_BEGIN

// Whether bf16 may be passed: the level has such products, and channels come in pairs.
bool direct_takes_pairs(const ConvShape& s);

// y = conv(x, w) + bias; bias may be null.
template <class T> void direct_forward(const ConvShape& s, Accumulate<T>* y, const T* x, const T* w,
                                       const Accumulate<T>* bias);
template <class T>
void direct_backward_input(const ConvShape& s, Accumulate<T>* dx, const T* dy, const T* w);
// The sum over pixels is cut by the shape alone: the same bits on any number of threads.
template <class T> void direct_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x);

PASSBAND_LEVEL_END
