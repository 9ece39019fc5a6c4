// Convolutions where oneDNN is asked for: its primitives, or matrix products of patches where those
// are faster.
#include <cstring>

#include "tensor/cpu/matrix_unit.h"
#include "tensor/ops/conv_columns.h"
#include "tensor/ops/conv_onednn.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband::cpu {
namespace {

void fill_zero(Tensor x) {
  auto* bytes = static_cast<std::byte*>(x.raw());
  parallel_for(x.numel() * size_of(x.dtype()), kGrain, [=](int64_t begin, int64_t end) {
    std::memset(bytes + begin, 0, static_cast<size_t>(end - begin));
  });
}

// The patches of group `group`: x itself when the kernel is 1x1 with stride 1.
Tensor columns_of(const ConvGeometry& g, int64_t group, const Tensor& x) {
  if (g.trivial()) return x;
  Tensor columns = Tensor::empty({g.pixels(), g.patch()}, x.dtype());
  dispatch_floating(x.dtype(), "conv2d",
                    [&]<class T>() { gather_columns(g, group, x.data<T>(), columns.data<T>()); });
  return columns;
}

Tensor group_of(const ConvGeometry& g, int64_t group, const Tensor& y) {
  if (g.groups == 1) return y;
  Tensor packed = Tensor::empty({g.pixels(), g.co}, y.dtype());
  dispatch_floating(y.dtype(), "conv2d",
                    [&]<class T>() { gather_group(g, group, y.data<T>(), packed.data<T>()); });
  return packed;
}

Tensor weight_of(const ConvGeometry& g, int64_t group, const Tensor& w) {
  return w.view(group * g.co * g.patch(), {g.co, g.patch()});
}

void forward_product(const ConvGeometry& g, Tensor y, const Tensor& x, const Tensor& w,
                     const Tensor& bias) {
  const ProductShape shape{
      .m = g.pixels(), .n = g.co, .k = g.patch(), .transpose_b = true, .weight_b = true};
  if (g.groups == 1) return matmul_forward(y, columns_of(g, 0, x), w, {.bias = bias}, shape);
  Tensor part = Tensor::empty({g.pixels(), g.co}, y.dtype());
  for (int64_t group = 0; group < g.groups; ++group) {
    matmul_forward(part, columns_of(g, group, x), weight_of(g, group, w),
                   {.bias = bias.defined() ? bias.view(group * g.co, {g.co}) : Tensor{}}, shape);
    dispatch_floating(y.dtype(), "conv2d",
                      [&]<class T>() { scatter_group(g, group, part.data<T>(), y.data<T>()); });
  }
}

void backward_input_product(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w) {
  const ProductShape shape{.m = g.pixels(), .n = g.patch(), .k = g.co, .weight_b = true};
  if (g.trivial()) return matmul_forward(dx, dy, w, {}, shape);
  fill_zero(dx);
  Tensor columns = Tensor::empty({g.pixels(), g.patch()}, dx.dtype());
  for (int64_t group = 0; group < g.groups; ++group) {
    matmul_forward(columns, group_of(g, group, dy), weight_of(g, group, w), {}, shape);
    dispatch_floating(dx.dtype(), "conv2d_input_gradient", [&]<class T>() {
      scatter_columns(g, group, columns.data<T>(), dx.data<T>());
    });
  }
}

// dw^T = patches^T dy: oneDNN multiplies tall results 1.3 times as fast as wide ones.
void backward_weight_tall(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x) {
  Tensor turned = Tensor::empty({g.patch(), g.co}, dw.dtype());
  matmul_forward(turned, columns_of(g, 0, x), dy, {},
                 {.m = g.patch(), .n = g.co, .k = g.pixels(), .transpose_a = true});
  copy_(dw.viewed_as({g.co, g.patch()}), transpose(turned, 0, 1));
}

void backward_weight_product(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x) {
  if (g.groups == 1 && g.patch() >= 4 * g.co) return backward_weight_tall(g, dw, dy, x);
  const ProductShape shape{.m = g.co, .n = g.patch(), .k = g.pixels(), .transpose_a = true};
  for (int64_t group = 0; group < g.groups; ++group)
    matmul_forward(weight_of(g, group, dw), group_of(g, group, dy), columns_of(g, group, x), {},
                   shape);
}

// Winograd's algorithm runs the 3x3 layers of ResNet-50 in f32 1.4 (4x4 maps) to 2.4 times (16x16)
// as fast as the direct sum, all three passes. In bf16 it would cost accuracy that bf16 cannot
// spare, and the matrix unit is faster.
ConvAlgorithm algorithm_for(const ConvGeometry& g, DType dtype) {
  const auto dense = [](const WindowAxis& axis) {
    return axis.stride == 1 && axis.dilation == 1 && axis.before == 1 && axis.after == 1;
  };
  const bool suits = dtype == DType::f32 && g.kh == 3 && g.kw == 3 && dense(g.rows) &&
                     dense(g.columns) && g.groups == 1;
  const bool pays = g.ci >= 32 && g.co >= 32 && g.ci % 16 == 0 && g.co % 16 == 0 &&
                    g.ho * g.wo >= 16 && g.pixels() >= 1024;
  return suits && pays ? ConvAlgorithm::winograd : ConvAlgorithm::direct;
}

// Where a product beats oneDNN 2.6's convolution, the making of patches included; measured on
// ResNet-50 at 32x32. 1x1 kernels: up to 1.3 times in f32, 8 times in bf16 (weight gradient with
// matrix unit), with a stride only in bf16 and not forward. Any kernel on maps up to 4x4: 1.3 (f32)
// to 4 times. With a stride in f32 on the matrix unit: 1.1 to 1.9 times, 3x3 kernels not forward.
bool by_product(ConvPass pass, const ConvGeometry& g, DType dtype) {
  if (dtype == DType::f64 || g.trivial()) return true;
  if (g.groups > 1 || g.ci < 32 || algorithm_for(g, dtype) == ConvAlgorithm::winograd) return false;
  const bool small = g.ho * g.wo <= 16, half = dtype == DType::bf16, strided = g.strided();
  const bool cheap = g.pointwise() || g.ho * g.wo <= 64;  // to make patches of
  const bool unit = dtype == DType::f32 && strided && matrix_unit::available();
  switch (pass) {
    case ConvPass::backward_input: return (g.pointwise() && (small || half)) || (unit && cheap);
    case ConvPass::backward_weight: return small || ((unit || (half && strided)) && cheap);
    case ConvPass::forward: break;
  }
  return small || (unit && g.pointwise());
}

// The axis of the input gradient as a convolution of dy, which it is at stride 1 where no padding
// is below 0.
WindowAxis turned(const WindowAxis& axis, int64_t kernel) {
  const int64_t reach = axis.span(kernel) - 1;
  return {.dilation = axis.dilation, .before = reach - axis.before, .after = reach - axis.after};
}

// The input gradient at stride 1 is a convolution of dy with the weight turned by 180 degrees and
// its channels swapped, and forward is the faster pass but for f32 on small maps.
bool by_turned_weight(const ConvGeometry& g, DType dtype) {
  if (dtype == DType::f32 &&
      (g.ho * g.wo <= 16 || algorithm_for(g, dtype) == ConvAlgorithm::winograd))
    return false;
  const WindowAxis rows = turned(g.rows, g.kh), columns = turned(g.columns, g.kw);
  return dtype != DType::f64 && !g.strided() && g.groups == 1 && g.kh * g.kw > 1 &&
         std::min({rows.before, rows.after, columns.before, columns.after}) >= 0 && g.ci >= 32;
}

// (O, kh, kw, I) -> (I, kh, kw, O), rows and columns reversed; in tiles, so that both sides stay in
// the cache.
template <class T> void turn(const ConvGeometry& g, const T* w, T* turned) {
  constexpr int64_t kTile = 32;
  const int64_t cells = g.kh * g.kw;
  parallel_for((g.ci + kTile - 1) / kTile, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile)
      for (int64_t o = 0; o < g.o; o += kTile)
        for (int64_t cell = 0; cell < cells; ++cell)
          for (int64_t i = tile * kTile; i < std::min(g.ci, (tile + 1) * kTile); ++i)
            for (int64_t j = o; j < std::min(g.o, o + kTile); ++j)
              turned[(i * cells + cells - 1 - cell) * g.o + j] = w[(j * cells + cell) * g.ci + i];
  });
}

void backward_input_turned(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w) {
  Tensor weight = Tensor::empty({g.ci, g.kh, g.kw, g.o}, w.dtype());
  dispatch_floating(w.dtype(), "conv2d_input_gradient",
                    [&]<class T>() { turn(g, w.data<T>(), weight.data<T>()); });
  const WindowAxis rows = turned(g.rows, g.kh), columns = turned(g.columns, g.kw);
  const ConvOptions options{.padding = {rows.before, rows.after, columns.before, columns.after},
                            .dilation = {rows.dilation, columns.dilation}};
  onednn_forward(ConvGeometry(dy.shape(), dx.shape(), weight.shape(), options), dx, dy, weight, {});
}

}  // namespace

void onednn_forward(const ConvGeometry& g, Tensor y, const Tensor& x, const Tensor& w,
                    const Tensor& bias) {
  if (by_product(ConvPass::forward, g, x.dtype())) forward_product(g, y, x, w, bias);
  else forward_primitive(algorithm_for(g, x.dtype()), g, y, x, w, bias);
}

void onednn_backward_input(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w) {
  if (by_product(ConvPass::backward_input, g, dy.dtype())) backward_input_product(g, dx, dy, w);
  else if (by_turned_weight(g, dy.dtype())) backward_input_turned(g, dx, dy, w);
  else backward_input_primitive(algorithm_for(g, dy.dtype()), g, dx, dy, w);
}

void onednn_backward_weight(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x) {
  if (by_product(ConvPass::backward_weight, g, dy.dtype())) backward_weight_product(g, dw, dy, x);
  else backward_weight_primitive(algorithm_for(g, dy.dtype()), g, dw, dy, x);
}

}  // namespace passband::cpu
