// Convolution: checks, and the three bilinear maps that are each other's derivatives.
#include "tensor/ops/conv.h"

#include "tensor/autograd/batch_sum.h"
#include "tensor/ops/conv_geometry.h"
#include "tensor/ops/conv_kernels.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/window_attributes.h"

namespace passband {
namespace {

Shape output_shape(const Shape& x, const Shape& w, const ConvOptions& o) {
  return {x[0], o.rows().windows(x[1], w[1]), o.columns().windows(x[2], w[2]), w[0]};
}

// No products: there is no channel, no pixel or no result.
bool sums_nothing(const Tensor& x, const Tensor& w, const Tensor& y) {
  return x.numel() == 0 || w.numel() == 0 || y.numel() == 0;
}

Tensor bias_alone(Tensor y, const Tensor& bias) {
  fill_(y, 0);
  return bias.defined() ? add(y, bias) : y;
}

// y = x (*) w + bias;   dx = input_gradient(dy, w),  dw = weight_gradient(dy, x),  dbias = sum of
// dy over N, H, W
struct Conv2d {
  static constexpr auto name = "conv2d";
  static constexpr auto saves = Save::input;
  ConvOptions options;

  Attributes attributes() const {
    return {{"stride", numbers(options.stride)},
            {"padding", numbers(options.padding)},
            {"dilation", numbers(options.dilation)},
            {"groups", {static_cast<double>(options.groups)}}};
  }

  Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias) const {
    Tensor y = Tensor::empty(output_shape(x.shape(), w.shape(), options), x.dtype(), x.device());
    if (sums_nothing(x, w, y)) return bias_alone(y, bias);
    DISPATCH(x.device(), conv2d_forward, y, x, w, bias, options);
    return y;
  }
  Grads backward(const Saved& s, const Tensor& dy, Arrived& arrived) const {
    Grads grads(3);
    if (s.needs(0)) grads[0] = input_gradient(s, dy, arrived);
    if (s.needs(1)) grads[1] = weight_gradient(s, dy);
    if (s.needs(2)) grads[2] = bias_gradient(s, 2, as_rows(dy));
    return grads;
  }

 private:
  // That of a 1x1 convolution is a product, which can add what a shortcut has brought.
  Tensor input_gradient(const Saved& s, const Tensor& dy, Arrived& arrived) const {
    const Tensor& w = s.input(1);
    const Shape& x = s.edge(0).shape;
    if (!recording() && ConvGeometry(x, dy.shape(), w.shape(), options).trivial())
      if (const Tensor added = arrived.take(0); added.defined()) {
        Tensor dx = Tensor::empty(x, dy.dtype(), dy.device());
        DISPATCH(
            dy.device(), matmul_forward, dx, dy, w, Epilogue{.residual = added},
            ProductShape{.m = dy.shape().outer(-1), .n = x[3], .k = dy.size(3), .weight_b = true});
        return dx;
      }
    return conv2d_input_gradient(dy, w, x, options);
  }

  Tensor weight_gradient(const Saved& s, const Tensor& dy) const {
    const Tensor& x = s.input(0);
    const Shape& w = s.edge(1).shape;
    if (!s.takes_parts(1) || dy.numel() == 0 || x.numel() == 0)
      return conv2d_weight_gradient(dy, x, w, options);
    Tensor dw = Tensor::empty(w, dy.dtype(), dy.device()), parts;
    DISPATCH(dy.device(), conv2d_backward_weight, dw, &parts, dy, x, options);
    if (!parts.defined()) return dw;
    return parts.viewed_as({parts.size(0), w[0], w[1], w[2], w[3]});
  }
};

// dx(dy, w), with gradient g:   ddy = g (*) w,  dw = weight_gradient(dy, g)
struct ConvInputGradient {
  static constexpr auto name = "conv2d_input_gradient";
  static constexpr auto saves = Save::input;
  ConvOptions options;
  Shape input;

  Tensor forward(const Tensor& dy, const Tensor& w) const {
    if (dy.numel() == 0 || w.numel() == 0) return Tensor::zeros(input, dy.dtype(), dy.device());
    Tensor dx = Tensor::empty(input, dy.dtype(), dy.device());
    DISPATCH(dy.device(), conv2d_backward_input, dx, dy, w, options);
    return dx;
  }
  Grads backward(const Saved& s, const Tensor& g) const {
    Grads grads(2);
    if (s.needs(0)) grads[0] = conv2d(g, s.input(1), {}, options);
    if (s.needs(1)) grads[1] = conv2d_weight_gradient(s.input(0), g, s.edge(1).shape, options);
    return grads;
  }
};

// dw(dy, x), with gradient g:   ddy = x (*) g,  dx = input_gradient(dy, g)
struct ConvWeightGradient {
  static constexpr auto name = "conv2d_weight_gradient";
  static constexpr auto saves = Save::input;
  ConvOptions options;
  Shape weight;

  Tensor forward(const Tensor& dy, const Tensor& x) const {
    if (dy.numel() == 0 || x.numel() == 0) return Tensor::zeros(weight, dy.dtype(), dy.device());
    if (!batch_parts().cut(dy.size(0))) return of(dy, x);
    return sum_over_batch(
        [&](int64_t part) { return of(part_of_batch(dy, part), part_of_batch(x, part)); });
  }
  Tensor of(const Tensor& dy, const Tensor& x) const {
    Tensor dw = Tensor::empty(weight, dy.dtype(), dy.device());
    DISPATCH(dy.device(), conv2d_backward_weight, dw, nullptr, dy, x, options);
    return dw;
  }
  Grads backward(const Saved& s, const Tensor& g) const {
    Grads grads(2);
    if (s.needs(0)) grads[0] = conv2d(s.input(1), g, {}, options);
    if (s.needs(1)) grads[1] = conv2d_input_gradient(s.input(0), g, s.edge(1).shape, options);
    return grads;
  }
};

// Checks everything but the operands' agreement with the output's shape; `a` and `b` are the two
// tensors given.
void check(const char* op, const Tensor& a, const Tensor& b, const Shape& x, const Shape& w,
           const ConvOptions& o) {
  CHECK(a.defined() && b.defined(), op, ": an operand is undefined");
  CHECK(is_floating(a.dtype()), op, ": takes f32, bf16 or f64, not ", a);
  CHECK(a.dtype() == b.dtype(), op, ": element types differ: ", a, " and ", b,
        "; cast one of them");
  CHECK(a.device() == b.device(), op, ": devices differ: ", a, " and ", b);
  CHECK(x.rank() == 4, op, ": x is (N, H, W, C), not ", x);
  CHECK(w.rank() == 4, op, ": weight is (O, kh, kw, C / groups), not ", w);
  CHECK(o.stride.least() >= 1 && o.dilation.least() >= 1 && o.groups >= 1 && o.padding.least() >= 0,
        op, ": stride ", o.stride, ", dilation ", o.dilation, " and groups ", o.groups,
        " must be at least 1, padding ", o.padding, " at least 0");
  CHECK(w[1] >= 1 && w[2] >= 1, op, ": the kernel of weight ", w, " is empty");
  CHECK(x[3] == w[3] * o.groups, op, ": channels mismatch: x ", x, " has ", x[3], ", weight ", w,
        " takes ", w[3] * o.groups, " (", w[3], " in each of ", o.groups, " groups)");
  CHECK(w[0] % o.groups == 0, op, ": ", w[0], " output channels do not divide into ", o.groups,
        " groups");
  const Shape y = output_shape(x, w, o);
  CHECK(y[1] >= 1 && y[2] >= 1, op, ": the kernel of weight ", w, " with dilation ", o.dilation,
        " does not fit into x ", x, " with padding ", o.padding);
}

// One axis of a transposed convolution: the input gradient makes `side` pixels with padding `after`
// at the end; `beyond` rows of zeros follow, which no window reaches.
struct TransposedAxis {
  int64_t side, after, beyond;

  TransposedAxis(int64_t pixels, int64_t kernel, const WindowAxis& axis, int64_t extra)
      : after(std::max<int64_t>(axis.after - extra, 0)),
        beyond(std::max<int64_t>(extra - axis.after, 0)) {
    side = (pixels - 1) * axis.stride + axis.span(kernel) - axis.before - after;
  }
};

void check_transposed(const Tensor& x, const Tensor& w, const Tensor& bias,
                      const ConvTransposeOptions& o) {
  const char* const op = "conv_transpose2d";
  CHECK(x.defined() && w.defined() && x.rank() == 4 && w.rank() == 4, op,
        ": x is (N, H, W, C) and weight (C, kh, kw, O / groups), they are ", x, " and ", w);
  CHECK(x.size(3) == w.size(0), op, ": channels mismatch: x ", x, " has ", x.size(3), ", weight ",
        w, " takes ", w.size(0));
  CHECK(o.output_padding.least() >= 0 &&
            o.output_padding.height < std::max(o.stride.height, o.dilation.height) &&
            o.output_padding.width < std::max(o.stride.width, o.dilation.width),
        op, ": output padding ", o.output_padding, " must be less than the stride, ", o.stride,
        ", or the dilation, ", o.dilation);
  CHECK(
      !bias.defined() || (bias.shape() == Shape{w.size(3) * o.groups} && bias.dtype() == x.dtype()),
      op, ": bias is ", bias, ", weight is ", w, " in ", o.groups,
      " groups; the bias has one element per output channel, of the same type");
}

void check_gradient(const char* op, const Tensor& dy, const Shape& x, const Shape& w,
                    const ConvOptions& o) {
  const Shape wanted = output_shape(x, w, o);
  CHECK(dy.shape() == wanted, op, ": dy is ", dy, ", but x ", x, " and weight ", w, " give ",
        wanted);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  check("conv2d", x, weight, x.shape(), weight.shape(), options);
  if (bias.defined())
    CHECK(bias.shape() == Shape{weight.size(0)} && bias.dtype() == x.dtype(), "conv2d: bias is ",
          bias, ", weight is ", weight,
          "; the bias has one element per output channel, of the same type");
  return apply(Conv2d{options}, x, weight, bias);
}

Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& weight, const Shape& input,
                             const ConvOptions& options) {
  check("conv2d_input_gradient", dy, weight, input, weight.shape(), options);
  check_gradient("conv2d_input_gradient", dy, input, weight.shape(), options);
  return apply(ConvInputGradient{options, input}, dy, weight);
}

Tensor conv2d_weight_gradient(const Tensor& dy, const Tensor& x, const Shape& weight,
                              const ConvOptions& options) {
  check("conv2d_weight_gradient", dy, x, x.shape(), weight, options);
  check_gradient("conv2d_weight_gradient", dy, x.shape(), weight, options);
  return apply(ConvWeightGradient{options, weight}, dy, x);
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& o) {
  check_transposed(x, weight, bias, o);
  ConvOptions options{
      .stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups};
  const TransposedAxis rows(x.size(1), weight.size(1), options.rows(), o.output_padding.height),
      columns(x.size(2), weight.size(2), options.columns(), o.output_padding.width);
  CHECK(rows.side >= 1 && columns.side >= 1, "conv_transpose2d: padding ", o.padding,
        " leaves nothing of what x ", x, " and weight ", weight, " give");
  options.padding.bottom = rows.after;
  options.padding.right = columns.after;
  const Shape result{x.size(0), rows.side, columns.side, weight.size(3) * o.groups};
  Tensor y = conv2d_input_gradient(x, weight, result, options);
  y = pad(pad(y, 1, 0, rows.beyond), 2, 0, columns.beyond);
  return bias.defined() ? y + bias : y;
}

}  // namespace passband
