// Convolutions whose every channel is a group of its own, for f32 and f64: vectors of channels,
// sums over the window in registers.
#pragma once
#include "tensor/cpu/level_code.h"
#include "tensor/ops/conv/shape.h"

PASSBAND_LEVEL_BEGIN

template <class T>
void depthwise_forward(const ConvShape& s, T* y, const T* x, const T* w, const T* bias);
template <class T>
void depthwise_backward_input(const ConvShape& s, T* dx, const T* dy, const T* w);
template <class T>
void depthwise_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x);

PASSBAND_LEVEL_END
