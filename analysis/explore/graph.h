// The graph of a network: the list of operations that one picture runs through, with their weights,
// written down while it runs (tensor/autograd/trace.h). Whatever the family, it needs no
// description of its own.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/tap.h"

namespace passband {

// Weights, or what is made of nothing but weights.
struct GraphConstant {
  std::string name;  // of the parameter or buffer; empty: none
  Tensor value;      // f32 or i32, on the host
};

// What an operation reads: the result of another one, a constant, or nothing (an absent bias).
struct GraphInput {
  enum class From : uint8_t { nothing, value, constant };
  From from = From::nothing;
  size_t index = 0;  // value 0 is the picture, value i + 1 the result of operation i
};

struct GraphOperation {
  std::string name;  // "conv2d"
  std::map<std::string, std::vector<double>> numbers;
  std::map<std::string, size_t> tensors;  // attributes that are constants
  std::vector<GraphInput> inputs;
  Shape shape;                 // of the result, for one picture
  std::vector<TapSite> sites;  // the taps that show the result
  size_t heard = 0;            // its place among all operations that ran
};

struct NetworkGraph {
  std::vector<GraphConstant> constants;
  std::vector<GraphOperation> operations;  // in an order in which they can run; the last makes the
                                           // logits
  // Bytes of all constants when matrices are halved (see is_halved).
  int64_t bytes() const;
};

// Whether a page keeps a constant in 16 bits: parameters of two and more dimensions.
bool is_halved(const GraphConstant& constant);

// The taps at which a page may look or change something.
const std::vector<std::string>& explored_taps();

// Runs a grey picture through `model` in evaluation mode, with every tap open, so that each buffer
// that has a name is the result of an operation. Operations that do not reach the logits are left
// out; those of constants alone are constants. Time: one forward pass.
NetworkGraph graph_of(const Model& model);

// Rounds every parameter of two and more dimensions to the nearest number of 16 bits (IEEE
// binary16, ties to even), as a page holds it. Throws UsageError naming a parameter that has no
// such number.
void round_to_halves(Model& model);

// The bits of the nearest binary16; a number beyond its range gives an infinity.
uint16_t half_bits(float value);
float half_value(uint16_t bits);

}  // namespace passband
