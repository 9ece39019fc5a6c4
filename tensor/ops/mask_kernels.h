// Kernel signatures of comparisons and of choices by a mask.
#pragma once
#include <array>

#include "tensor/core/tensor.h"
#include "tensor/cpu/kernel.h"
#include "tensor/ops/broadcast.h"

namespace passband {

enum class Comparison : uint8_t { eq, ne, lt, le, gt, ge };

// Whether a stands to b as `comparison` asks.
template <class T> PASSBAND_HD inline bool holds(Comparison comparison, T a, T b) {
  switch (comparison) {
    case Comparison::eq: return a == b;
    case Comparison::ne: return a != b;
    case Comparison::lt: return a < b;
    case Comparison::le: return a <= b;
    case Comparison::gt: return a > b;
    case Comparison::ge: return a >= b;
  }
  return false;
}

// The type in which elements are compared.
template <class T> using Compared = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

// The loops of two operands with the strides of a mask beside them.
struct ChoiceLoops : Broadcast {
  std::array<int64_t, Shape::kMaxRank> mask{};
};

namespace cpu {
PASSBAND_CPU_KERNEL(compare, void(Tensor mask, const Tensor& a, const Tensor& b,
                                  const Broadcast& loops, Comparison comparison));
// y = a where the mask is not 0, else b; elements of any type.
PASSBAND_CPU_KERNEL(choose, void(Tensor y, const Tensor& mask, const Tensor& a, const Tensor& b,
                                 const ChoiceLoops& loops));
}  // namespace cpu

namespace cuda {
void compare(Tensor mask, const Tensor& a, const Tensor& b, const Broadcast& loops,
             Comparison comparison);
void choose(Tensor y, const Tensor& mask, const Tensor& a, const Tensor& b,
            const ChoiceLoops& loops);
}  // namespace cuda

}  // namespace passband
