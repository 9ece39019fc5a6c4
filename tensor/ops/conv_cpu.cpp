// Convolution on the CPU: as a matrix product where it is one (1x1 kernels), by Winograd's
// algorithm where that pays (3x3 kernels in f32), and else summed directly.
#include <cstring>

#include "tensor/core/batch_parts.h"
#include "tensor/core/kernel_source.h"
#include "tensor/cpu/bf16_pairs.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/onednn_engine.h"
#include "tensor/ops/conv/direct.h"
#include "tensor/ops/conv/winograd.h"
#include "tensor/ops/conv_geometry.h"
#include "tensor/ops/conv_kernels.h"
#include "tensor/ops/conv_onednn.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

LEVEL_BEGIN
namespace {

void fill_zero(Tensor x) {
  auto* bytes = static_cast<std::byte*>(x.raw());
  parallel_for(x.numel() * size_of(x.dtype()), kGrain, [=](int64_t begin, int64_t end) {
    std::memset(bytes + begin, 0, static_cast<size_t>(end - begin));
  });
}

ConvAxis axis_of(const WindowAxis& axis, int64_t in, int64_t out, int64_t kernel) {
  return {in, out, kernel, axis.stride, axis.dilation, axis.before};
}

ConvShape shape_of(const ConvGeometry& g) {
  return {.n = g.n,
          .c = g.c,
          .o = g.o,
          .groups = g.groups,
          .rows = axis_of(g.rows, g.h, g.ho, g.kh),
          .columns = axis_of(g.columns, g.w, g.wo, g.kw)};
}

// --- kernels of one cell at stride 1: the pixels are the rows of a matrix ---

void forward_product(const ConvGeometry& g, Tensor y, const Tensor& x, const Tensor& w,
                     const Tensor& bias) {
  matmul_forward(y, x, w, {.bias = bias},
                 {.m = g.pixels(), .n = g.co, .k = g.ci, .transpose_b = true, .weight_b = true});
}

void backward_input_product(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w) {
  matmul_forward(dx, dy, w, {}, {.m = g.pixels(), .n = g.ci, .k = g.co, .weight_b = true});
}

// Of a wide gradient the transposed one: tall products are the faster ones.
void backward_weight_product(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x) {
  if (g.ci < 4 * g.co)
    return matmul_forward(dw, dy, x, {},
                          {.m = g.co, .n = g.ci, .k = g.pixels(), .transpose_a = true});
  Tensor turned = Tensor::empty({g.ci, g.co}, dw.dtype());
  matmul_forward(turned, x, dy, {}, {.m = g.ci, .n = g.co, .k = g.pixels(), .transpose_a = true});
  copy_(dw.viewed_as({g.co, g.ci}), transpose(turned, 0, 1));
}

// --- which kernels ---

bool by_onednn(DType dtype) {
  return dtype == DType::bf16 ? bf16_by_onednn()
                              : dtype == DType::f32 && conv_kernels() == KernelSource::onednn;
}

// Maps of bf16 are transformed, multiplied and summed in f32.
// Where results must not depend on who has a batch, the whole batch decides.
bool by_winograd(const ConvGeometry& g, DType dtype) {
  ConvShape shape = shape_of(g);
  if (batch_parts().cut(shape.n)) shape.n = batch_parts().whole;
  return dtype != DType::f64 && winograd_pays(shape);
}

bool by_pairs(const ConvGeometry& g, DType dtype) {
  return dtype == DType::bf16 && direct_takes_pairs(shape_of(g));
}

Tensor wide(const Tensor& x) {
  return x.defined() && x.dtype() != DType::f32 ? cast(x, DType::f32) : x;
}

// Calls compute(result) with f32 numbers, which are then rounded to what y has.
template <class F> void in_f32(Tensor y, const F& compute) {
  if (y.dtype() == DType::f32) return compute(y);
  const Tensor result = Tensor::empty(y.shape(), DType::f32);
  compute(result);
  copy_(y, result);
}

}  // namespace

void conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                    const ConvOptions& options) {
  if (y.numel() == 0) return;
  const ConvGeometry g(x.shape(), y.shape(), w.shape(), options);
  if (g.trivial()) return forward_product(g, y, x, w, bias);
  if (by_onednn(x.dtype())) return onednn_forward(g, y, x, w, bias);
  if (x.dtype() == DType::f64)
    return direct_forward(shape_of(g), y.data<double>(), x.data<double>(), w.data<double>(),
                          bias.data_or_null<double>());
  const Tensor w32 = wide(w), bias32 = wide(bias);
  if (by_winograd(g, x.dtype())) return winograd_forward(shape_of(g), y, x, w32, bias32);
  in_f32(y, [&](Tensor result) {
    if constexpr (kBf16Pairs)
      if (by_pairs(g, x.dtype()))
        return direct_forward(shape_of(g), result.data<float>(), x.data<bf16>(), w.data<bf16>(),
                              bias32.data_or_null<float>());
    direct_forward(shape_of(g), result.data<float>(), wide(x).data<float>(), w32.data<float>(),
                   bias32.data_or_null<float>());
  });
}

void conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                           const ConvOptions& options) {
  if (dx.numel() == 0) return;
  const ConvGeometry g(dx.shape(), dy.shape(), w.shape(), options);
  if (g.trivial()) return backward_input_product(g, dx, dy, w);
  if (by_onednn(dy.dtype())) return onednn_backward_input(g, dx, dy, w);
  if (dy.dtype() == DType::f64)
    return direct_backward_input(shape_of(g), dx.data<double>(), dy.data<double>(),
                                 w.data<double>());
  const Tensor w32 = wide(w);
  if (by_winograd(g, dy.dtype())) return winograd_backward_input(shape_of(g), dx, dy, w32);
  in_f32(dx, [&](Tensor result) {
    if constexpr (kBf16Pairs)
      if (by_pairs(g, dy.dtype()))
        return direct_backward_input(shape_of(g), result.data<float>(), dy.data<bf16>(),
                                     w.data<bf16>());
    direct_backward_input(shape_of(g), result.data<float>(), wide(dy).data<float>(),
                          w32.data<float>());
  });
}

void conv2d_backward_weight(Tensor dw, Tensor*, const Tensor& dy, const Tensor& x,
                            const ConvOptions& options) {
  if (dw.numel() == 0) return;
  if (dy.numel() == 0) return fill_zero(dw);
  const ConvGeometry g(x.shape(), dy.shape(), dw.shape(), options);
  if (g.trivial()) return backward_weight_product(g, dw, dy, x);
  if (by_onednn(dy.dtype())) return onednn_backward_weight(g, dw, dy, x);
  if (dy.dtype() == DType::f64)
    return direct_backward_weight(shape_of(g), dw.data<double>(), dy.data<double>(),
                                  x.data<double>());
  in_f32(dw, [&](Tensor result) {
    if (by_winograd(g, dy.dtype())) return winograd_backward_weight(shape_of(g), result, dy, x);
    direct_backward_weight(shape_of(g), result.data<float>(), wide(dy).data<float>(),
                           wide(x).data<float>());
  });
}

LEVEL_END
