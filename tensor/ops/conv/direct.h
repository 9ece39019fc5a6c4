// Convolutions of our own, summed directly, for f32 and f64: NHWC, any kernel, stride, dilation,
// padding and number of groups.
#pragma once
#include "tensor/cpu/level_code.h"
#include "tensor/ops/conv/shape.h"

PASSBAND_LEVEL_BEGIN

// y = conv(x, w) + bias; bias may be null.
template <class T>
void direct_forward(const ConvShape& s, T* y, const T* x, const T* w, const T* bias);
template <class T> void direct_backward_input(const ConvShape& s, T* dx, const T* dy, const T* w);
// The sum over pixels is cut by the shape alone: the same bits on any number of threads.
template <class T> void direct_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x);

PASSBAND_LEVEL_END
