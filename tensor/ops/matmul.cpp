// Matrix products: checks, gradients. With C = A B:  dA = dC B^T,  dB = A^T dC,  and the same with
// transposes moved.
#include "tensor/ops/matmul.h"

#include "tensor/autograd/batch_sum.h"
#include "tensor/ops/matmul_kernels.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/reduce_kernels.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

struct Matmul {
  static constexpr auto name = "matmul";
  static constexpr auto saves = Save::input;
  MatmulOptions options;
  bool weight_b = false;

  Attributes attributes() const {
    return {{"transpose_a", {options.transpose_a ? 1.0 : 0.0}},
            {"transpose_b", {options.transpose_b ? 1.0 : 0.0}}};
  }
  Tensor forward(const Tensor& a, const Tensor& b) const {
    if (!sums_rows(a, b) || !batch_parts().cut(a.size(0))) return of(a, b);
    return sum_over_batch(
        [&](int64_t part) { return of(part_of_batch(a, part), part_of_batch(b, part)); });
  }

  Grads backward(const Saved& s, const Tensor& dc) const {
    const auto [ta, tb] = options;
    Grads grads(2);
    const Tensor &a = s.input(0), &b = s.input(1);
    if (s.needs(0)) grads[0] = ta ? matmul(b, dc, {tb, true}) : matmul(dc, b, {false, !tb});
    if (s.needs(1)) {
      const bool rows = b.rank() == 2 && a.rank() > 2;
      const Tensor left = rows ? as_rows(a) : a, right = rows ? as_rows(dc) : dc;
      grads[1] = tb ? matmul(right, left, {true, ta}) : matmul(left, right, {!ta, false});
    }
    return grads;
  }

 private:
  // As the gradient of a weight does.
  bool sums_rows(const Tensor& a, const Tensor& b) const {
    return options.transpose_a && !options.transpose_b && a.rank() == 2 && b.rank() == 2;
  }
  Tensor of(const Tensor& a, const Tensor& b) const {
    ProductShape shape{.batch = 1,
                       .m = a.size(options.transpose_a ? -1 : -2),
                       .n = b.size(options.transpose_b ? -2 : -1),
                       .k = a.size(options.transpose_a ? -2 : -1),
                       .transpose_a = options.transpose_a,
                       .transpose_b = options.transpose_b,
                       .weight_b = weight_b};
    Shape result = a.shape();
    result[-2] = shape.m;
    result[-1] = shape.n;
    if (b.rank() == 2) shape.m *= a.shape().outer(-2);
    else shape.batch = a.shape().outer(-2);
    Tensor c = Tensor::empty(result, a.dtype(), a.device());
    DISPATCH(a.device(), matmul_forward, c, a, b, Epilogue{}, shape);
    return c;
  }
};

struct Linear {
  static constexpr auto name = "linear";
  static constexpr auto saves = Save::input;

  Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Tensor& residual) const {
    Tensor y = Tensor::empty(x.shape().with(-1, weight.size(0)), x.dtype(), x.device());
    const Epilogue epilogue{bias, residual};
    DISPATCH(x.device(), matmul_forward, y, x, weight, epilogue, linear_shape(x, weight));
    return y;
  }

  Grads backward(const Saved& s, const Tensor& dy) const {
    Grads grads(4);
    const Tensor rows = as_rows(dy);
    if (s.needs(0)) grads[0] = reshape(multiply_weight(rows, s.input(1)), s.edge(0).shape);
    if (s.needs(1)) grads[1] = weight_gradient(s, 1, rows, as_rows(s.input(0)));
    if (s.needs(2)) grads[2] = bias_gradient(s, 2, rows);
    if (s.needs(3)) grads[3] = dy;
    return grads;
  }
};

// The leading dimensions that those of a and b broadcast to, and two more.
Shape common_leading(const Tensor& a, const Tensor& b) {
  Shape shape = a.rank() >= b.rank() ? a.shape() : b.shape();
  for (int d = 3; d <= std::min(a.rank(), b.rank()); ++d) {
    CHECK(a.size(-d) == b.size(-d) || a.size(-d) == 1 || b.size(-d) == 1,
          "matmul: leading dimensions do not broadcast: a is ", a, ", b is ", b);
    shape[-d] = a.size(-d) == 1 ? b.size(-d) : a.size(-d);
  }
  return shape;
}

Tensor stretched(const Tensor& x, Shape batch) {
  batch[-2] = x.size(-2);
  batch[-1] = x.size(-1);
  return expand(x, batch);
}

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  CHECK(a.defined() && b.defined(), op, ": an operand is undefined");
  CHECK(is_floating(a.dtype()), op, ": takes f32, bf16 or f64, not ", a);
  CHECK(a.dtype() == b.dtype(), op, ": element types differ: a is ", a, ", b is ", b,
        "; cast one of them");
  CHECK(a.device() == b.device(), op, ": devices differ: a is ", a, ", b is ", b);
}

}  // namespace

Tensor as_rows(const Tensor& x) {
  return x.rank() == 2 ? x : reshape(x, Shape{x.shape().outer(-1), x.size(-1)});
}

Tensor multiply_weight(const Tensor& rows, const Tensor& weight) {
  return apply(Matmul{.weight_b = true}, rows, weight);
}

Tensor weight_gradient(const Saved& s, size_t i, const Tensor& dy, const Tensor& x) {
  if (!s.takes_parts(i)) return matmul(dy, x, {.transpose_a = true});
  Tensor dw = Tensor::empty({dy.size(1), x.size(1)}, dy.dtype(), dy.device()), parts;
  DISPATCH(dy.device(), matmul_forward, dw, dy, x, Epilogue{.parts = &parts},
           ProductShape{.m = dy.size(1), .n = x.size(1), .k = dy.size(0), .transpose_a = true});
  return parts.defined() ? parts : dw;
}

Tensor bias_gradient(const Saved& s, size_t i, const Tensor& dy) {
  if (!s.takes_parts(i)) return sum(dy, {0});
  return DISPATCH(dy.device(), sum_of_rows, dy);
}

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  check_operands("matmul", a, b);
  CHECK(a.rank() >= 2 && b.rank() >= 2, "matmul: takes matrices: a is ", a, ", b is ", b);
  const int64_t inner_a = a.size(options.transpose_a ? -2 : -1),
                inner_b = b.size(options.transpose_b ? -1 : -2);
  CHECK(inner_a == inner_b, "matmul: inner dimensions differ: a is ", a,
        options.transpose_a ? " transposed" : "", ", b is ", b,
        options.transpose_b ? " transposed" : "");
  if (b.rank() == 2 && (a.rank() == 2 || !options.transpose_a))
    return apply(Matmul{.options = options}, a, b);
  const Shape batch = common_leading(a, b);
  return apply(Matmul{.options = options}, stretched(a, batch), stretched(b, batch));
}

void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& residual) {
  check_operands(op, x, weight);
  CHECK(weight.rank() == 2, op, ": the weight is (out, in), not ", weight);
  CHECK(x.rank() >= 1 && x.size(-1) == weight.size(1), op, ": inner dimensions differ: x is ", x,
        ", weight is ", weight);
  if (bias.defined()) {
    check_operands(op, x, bias);
    CHECK(bias.shape() == Shape{weight.size(0)}, op, ": bias is ", bias, ", weight is ", weight,
          "; the bias has one element per row of the weight");
  }
  if (residual.defined()) {
    check_operands(op, x, residual);
    CHECK(residual.shape() == x.shape().with(-1, weight.size(0)), op, ": residual is ", residual,
          ", the product is ", x.shape().with(-1, weight.size(0)));
  }
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual) {
  check_linear("linear", x, weight, bias, residual);
  return apply(Linear{}, x, weight, bias, residual);
}

}  // namespace passband
