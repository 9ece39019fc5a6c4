// The MLP on the GPU: GELU and its slope in the epilogues of the products around them, by the
// kernels of tensor/cuda/product.cuh or by cuBLASLt.
//
// Bound. Each product of a token of width d and hidden width 4 d has 8 d^2 operations. In bf16
// forward moves 2 d bytes in and 8 d out, for training 16 d with h; backward as many. That is 0.8 d
// (0.44 d) operations a byte, where an H200 does 184: memory, below d = 230 (414). So what counts
// are the passes over hidden activations. With the GELU in kernels of its own forward would move 8
// d bytes more, to read h again, and backward 16 d to write dy w2 and read it, 8 d to read dh for
// its bias. Here h comes and goes by the runs of 16 bytes in which results do, and dbias is summed
// from what a warp holds: in f32, a line for each 32 to 64 rows, the lines added up by a second
// kernel in a fixed order.
// Operations of the epilogue: some 25 an element (erf), beside 2 d of the product.
// Considered: computing h again in backward, which saves 16 d of the 76 d bytes that the MLP moves
// in a step and costs a seventh product.
#include "tensor/cuda/kernel_choice.h"
#include "tensor/cuda/product.cuh"
#include "tensor/ops/library_products.h"
#include "tensor/ops/mlp_kernels.h"
#include "tensor/ops/pointwise_kernels.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cuda {
namespace {

// The result is the GELU of the sum, which is kept for the gradient.
template <class Gelu> struct GeluOfSum {
  static constexpr bool kKeepsSum = true, kSumsColumns = false;
  template <class A> static __device__ A finish(A sum, A) { return Gelu{}(sum); }
};

// The sum is the gradient of the GELU, the residual what went into it.
template <class Slope> struct SlopeTimesSum {
  static constexpr bool kKeepsSum = false, kSumsColumns = true;
  template <class A> static __device__ A finish(A sum, A before) { return Slope{}(before, sum); }
};

template <class T, class Finish> ProductOutput<T, Finish> rows_of(Tensor& y) {
  ProductOutput<T, Finish> out;
  out.data = y.data<T>();
  out.stride = y.size(-1);
  return out;
}

template <class T> bool aligned_rows(int64_t width, std::initializer_list<const T*> tensors) {
  return std::ranges::all_of(tensors,
                             [=](const T* data) { return lines_are_aligned(data, width, width); });
}

template <class T, class Gelu>
void native_forward(Tensor y, Tensor h, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const ProductShape s = linear_shape(x, weight);
  auto out = rows_of<T, GeluOfSum<Gelu>>(y);
  out.kept_sum = h.defined() ? h.data<T>() : nullptr;
  out.bias = bias.defined() ? bias.data<T>() : nullptr;
  out.aligned = aligned_rows<T>(s.n, {out.data, out.kept_sum, out.bias});
  run_product(matrix_operand<T, Major::k>(x, s.m, s.k),
              matrix_operand<T, Major::k>(weight, s.n, s.k), out, {s.m, s.n, s.k}, y.device());
}

template <class T, class Slope> void native_backward(Tensor dh, Tensor dbias, Tensor* parts,
                                                     const Tensor& dy, const Tensor& weight,
                                                     const Tensor& h) {
  const ProductShape s = linear_gradient_shape(dy, weight);
  auto out = rows_of<T, SlopeTimesSum<Slope>>(dh);
  out.residual = h.data<T>();
  out.aligned = aligned_rows<T>(s.n, {out.data, out.residual});
  const Tensor lines = run_product(matrix_operand<T, Major::k>(dy, s.m, s.k),
                                   matrix_operand<T, Major::side>(weight, s.k, s.n), out,
                                   {s.m, s.n, s.k}, dh.device());
  if (parts) *parts = lines;
  else if (dbias.defined()) sum(dbias, lines, {1, lines.size(0), s.n}, 1.0);
}

// cuBLASLt has the tanh form alone, and in f32 only as exact as the tanh of the hardware: 2e-5 of
// the root mean square, seen on an H200. Elsewhere its product, and then the GELU.
bool library_has_gelu(GeluForm form, DType dtype) {
  return form == GeluForm::tanh && dtype == DType::bf16;
}

bool library_forward(Tensor y, Tensor h, const Tensor& x, const Tensor& weight, const Tensor& bias,
                     GeluForm form) {
  const ProductShape s = linear_shape(x, weight);
  if (library_has_gelu(form, y.dtype())) return library_linear_gelu(y, h, x, weight, bias, s);
  const Tensor& sums = h.defined() ? h : y;
  if (!library_matmul(sums, x, weight, {.bias = bias}, s)) return false;
  with_gelu(form, [&](auto gelu, auto) { map(y, sums, gelu); });
  return true;
}

bool library_backward(Tensor dh, Tensor dbias, const Tensor& dy, const Tensor& weight,
                      const Tensor& h, GeluForm form) {
  const ProductShape s = linear_gradient_shape(dy, weight);
  if (library_has_gelu(form, dh.dtype())) return library_gelu_gradient(dh, dbias, dy, weight, h, s);
  if (!library_matmul(dh, dy, weight, {}, s)) return false;
  with_gelu(form, [&](auto, auto slope) { zip(dh, h, dh, slope); });
  if (dbias.defined()) sum(dbias, dh, {1, s.m, s.n}, 1.0);
  return true;
}

}  // namespace

void linear_gelu_forward(Tensor y, Tensor h, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, GeluForm form) {
  static KernelChoice choice;
  if (y.numel() == 0) return;
  const ProductShape s = linear_shape(x, weight);
  const auto native = [&] {
    dispatch_floating(y.dtype(), "mlp", [&]<class T>() {
      with_gelu(form,
                [&]<class Gelu>(Gelu, auto) { native_forward<T, Gelu>(y, h, x, weight, bias); });
    });
  };
  choice.run(product_kernels(),
             {s.m, s.n, s.k, h.defined(), bias.defined(), static_cast<int64_t>(form),
              static_cast<int64_t>(y.dtype()), tf32_allowed()},
             native, [&] { return s.k > 0 && library_forward(y, h, x, weight, bias, form); });
}

void linear_gelu_backward(Tensor dh, Tensor dbias, Tensor* parts, const Tensor& dy,
                          const Tensor& weight, const Tensor& h, GeluForm form) {
  static KernelChoice choice;
  const ProductShape s = linear_gradient_shape(dy, weight);
  if (dh.numel() == 0) {
    if (dbias.defined()) sum(dbias, dh, {1, s.m, s.n}, 1.0);
    return;
  }
  const auto native = [&] {
    dispatch_floating(dh.dtype(), "mlp", [&]<class T>() {
      with_gelu(form, [&]<class Slope>(auto, Slope) {
        native_backward<T, Slope>(dh, dbias, parts, dy, weight, h);
      });
    });
  };
  choice.run(product_kernels(),
             {s.m, s.n, s.k, dbias.defined(), static_cast<int64_t>(form),
              static_cast<int64_t>(dh.dtype()), tf32_allowed()},
             native, [&] { return s.k > 0 && library_backward(dh, dbias, dy, weight, h, form); });
}

}  // namespace passband::cuda
