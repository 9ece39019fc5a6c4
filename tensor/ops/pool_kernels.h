// Kernels of the pooling operations, one signature per backend.
#pragma once
#include "tensor/cpu/kernel.h"
#include "tensor/ops/pool.h"

namespace passband {

namespace cpu {
// `indices` (i32, shape of y): pixel row * W + column of the first maximum of each window.
PASSBAND_CPU_KERNEL(max_pool_forward,
                    void(Tensor y, Tensor indices, const Tensor& x, const PoolOptions& options));
// y = x at the indices, and its adjoint: dx = sum of the dy whose index is the pixel.
PASSBAND_CPU_KERNEL(max_pool_gather, void(Tensor y, const Tensor& x, const Tensor& indices));
PASSBAND_CPU_KERNEL(max_pool_scatter, void(Tensor dx, const Tensor& dy, const Tensor& indices,
                                           const PoolOptions& options));
PASSBAND_CPU_KERNEL(avg_pool_forward, void(Tensor y, const Tensor& x, const PoolOptions& options));
PASSBAND_CPU_KERNEL(avg_pool_backward,
                    void(Tensor dx, const Tensor& dy, const PoolOptions& options));
PASSBAND_CPU_KERNEL(global_avg_pool_forward, void(Tensor y, const Tensor& x));
}  // namespace cpu

namespace cuda {
void max_pool_forward(Tensor y, Tensor indices, const Tensor& x, const PoolOptions& options);
void max_pool_gather(Tensor y, const Tensor& x, const Tensor& indices);
void max_pool_scatter(Tensor dx, const Tensor& dy, const Tensor& indices,
                      const PoolOptions& options);
void avg_pool_forward(Tensor y, const Tensor& x, const PoolOptions& options);
void avg_pool_backward(Tensor dx, const Tensor& dy, const PoolOptions& options);
void global_avg_pool_forward(Tensor y, const Tensor& x);
}  // namespace cuda

}  // namespace passband
