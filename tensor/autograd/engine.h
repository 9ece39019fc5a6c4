// Gradients: orders the graph, runs each node's backward once, sums what meets.
#pragma once
#include <functional>
#include <vector>

#include "tensor/autograd/node.h"

namespace passband {

struct GradOptions {
  Tensor seed = {};           // d(something)/d(output); ones for a one-element output
  bool create_graph = false;  // make the gradients themselves differentiable
  // keep what the graph saved, for another pass (implied by create_graph)
  bool retain_graph = false;
  // an input the output does not depend on gets zeros instead of an error
  bool allow_unused = false;
};

// d output / d inputs, one tensor per input. Throws when `output` is not tracked, when it has more
// than one element and no seed is given, or when an input is unreachable and allow_unused is false.
std::vector<Tensor> grad(const Tensor& output, const std::vector<Tensor>& inputs,
                         const GradOptions& options = {});

// Adds d output / d leaf to the `grad` of every leaf reached. With `whole`, a leaf that has memory
// (bind_grad) gets its gradient soon after nothing more can come to it, while the pass goes on, and
// that memory is then told to `whole`. A pass that throws may have added some gradients.
using WholeGradient = std::function<void(const Tensor& memory)>;
void backward(const Tensor& output, const GradOptions& options = {},
              const WholeGradient& whole = {});

// The accumulated gradient of a leaf (undefined before the first backward), and its removal.
Tensor grad_of(const Tensor& leaf);
void clear_grad(const Tensor& leaf);
// Makes `memory` (same shape and type) the place where the leaf's gradient accumulates.
void bind_grad(const Tensor& leaf, Tensor memory);

}  // namespace passband
