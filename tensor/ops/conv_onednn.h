// Convolutions by oneDNN, f32 and bf16.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/ops/conv_geometry.h"

namespace passband::cpu {

// By primitives, or by products of patches where those are faster.
void onednn_forward(const ConvGeometry& g, Tensor y, const Tensor& x, const Tensor& w,
                    const Tensor& bias);
void onednn_backward_input(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w);
void onednn_backward_weight(const ConvGeometry& g, Tensor dw, const Tensor& dy, const Tensor& x);

// --- the primitives ---

// winograd: F(4x4, 3x3) of Lavin and Gray (2016): 2.25 multiplications for each output where the
// direct sum takes 9, at the price of more rounding. For 3x3 kernels of stride 1 in f32; where
// oneDNN has none for this CPU, direct.
enum class ConvAlgorithm : int64_t { direct, winograd };

void forward_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor y, const Tensor& x,
                       const Tensor& w, const Tensor& bias);
void backward_input_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor dx,
                              const Tensor& dy, const Tensor& w);
void backward_weight_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor dw,
                               const Tensor& dy, const Tensor& x);

}  // namespace passband::cpu
