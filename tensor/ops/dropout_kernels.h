// Kernel signatures of random removal.
#pragma once
#include "tensor/core/random.h"
#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"

namespace passband {

namespace cpu {
// y[i] = x[i] / (1 - p) where random_uniform(key, i / group) >= p, else 0: elements of one group
// share their fate.
PASSBAND_CPU_KERNEL(dropout,
                    void(Tensor y, const Tensor& x, double p, const RandomKey& key));  // group 1
PASSBAND_CPU_KERNEL(drop_groups,
                    void(Tensor y, const Tensor& x, double p, const RandomKey& key, int64_t group));
}  // namespace cpu

namespace cuda {
void dropout(Tensor y, const Tensor& x, double p, const RandomKey& key);
void drop_groups(Tensor y, const Tensor& x, double p, const RandomKey& key, int64_t group);
}  // namespace cuda

}  // namespace passband
