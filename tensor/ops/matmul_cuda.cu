// Matrix products on the GPU: the kernels of tensor/cuda/product.cuh, or cuBLASLt. What bounds
// them, and what was considered: tensor_core_product.cuh for bf16 and tf32, simple_product.cuh for
// f32 and f64.
#include "tensor/cuda/kernel_choice.h"
#include "tensor/cuda/product.cuh"
#include "tensor/ops/library_products.h"
#include "tensor/ops/matmul_kernels.h"

namespace passband::cuda {
namespace {

template <class T> ProductOutput<T> output(Tensor& c, const Epilogue& e, const ProductShape& s) {
  ProductOutput<T> out;
  out.data = c.data<T>();
  out.stride = s.n;
  out.batch_stride = s.batch > 1 ? s.m * s.n : 0;
  out.bias = e.bias.defined() ? e.bias.data<T>() : nullptr;
  out.residual = e.residual.defined() ? e.residual.data<T>() : nullptr;
  out.aligned = lines_are_aligned(out.data, s.n, s.n) && is_pack_aligned<kPackWidth<T>>(out.bias) &&
                is_pack_aligned<kPackWidth<T>>(out.residual);
  return out;
}

template <class T, Major major_a, Major major_b> void multiply(Tensor c, const Tensor& a,
                                                               const Tensor& b, const Epilogue& e,
                                                               const ProductShape& s) {
  const auto left = major_a == Major::k ? matrix_operand<T, major_a>(a, s.m, s.k, s.batch)
                                        : matrix_operand<T, major_a>(a, s.k, s.m, s.batch);
  const auto right = major_b == Major::k ? matrix_operand<T, major_b>(b, s.n, s.k, s.batch)
                                         : matrix_operand<T, major_b>(b, s.k, s.n, s.batch);
  run_product(left, right, output<T>(c, e, s), {s.m, s.n, s.k, s.batch, e.parts}, c.device());
}

void native_matmul(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                   const ProductShape& s) {
  dispatch_floating(c.dtype(), "matmul", [&]<class T>() {
    if (s.transpose_a)
      s.transpose_b ? multiply<T, Major::side, Major::k>(c, a, b, e, s)
                    : multiply<T, Major::side, Major::side>(c, a, b, e, s);
    else
      s.transpose_b ? multiply<T, Major::k, Major::k>(c, a, b, e, s)
                    : multiply<T, Major::k, Major::side>(c, a, b, e, s);
  });
}

// Whether cuBLASLt rounds a result once. Where rows are not whole runs of 16 bytes, it adds bias
// and residual to a sum that it has rounded to bf16 already (seen on an H200, cuBLASLt 13.0: m 65,
// n 63, k 33 with a bias).
bool library_rounds_once(const Tensor& c, const Epilogue& e, const ProductShape& s) {
  constexpr int64_t kRun = 8;
  const bool adds = e.bias.defined() || e.residual.defined();
  return c.dtype() != DType::bf16 || !adds ||
         (s.m % kRun == 0 && s.n % kRun == 0 && s.k % kRun == 0);
}

}  // namespace

void matmul_forward(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  static KernelChoice choice;
  if (c.numel() == 0) return;
  choice.run(
      product_kernels(),
      {s.batch, s.m, s.n, s.k, s.transpose_a, s.transpose_b, e.bias.defined(), e.residual.defined(),
       static_cast<int64_t>(c.dtype()), tf32_allowed()},
      [&] { native_matmul(c, a, b, e, s); },
      [&] { return s.k > 0 && library_rounds_once(c, e, s) && library_matmul(c, a, b, e, s); });
}

}  // namespace passband::cuda
