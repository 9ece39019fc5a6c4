// The network as a linear map: what a layer needs to know when context().linearised is set.
#pragma once
#include "nn/context.h"
#include "tensor/core/tensor.h"

namespace passband {

// x itself, or (linearised) its values as a constant of the graph.
inline Tensor held(const Tensor& x) { return context().linearised ? x.detach() : x; }

// gelu(x) = x Phi(x); linearised: the gate Phi(x) is a constant.
Tensor gelu_gate(const Tensor& x);

// (x - mean) / deviation over `dims`, the deviation as a constant: the normalisation of a
// linearised pass.
Tensor held_norm(const Tensor& x, const std::vector<int>& dims, double eps);

}  // namespace passband
