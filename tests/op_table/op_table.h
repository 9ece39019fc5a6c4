// The op table: one row per operation. The drivers (drivers_*.cpp) run every check over every row,
// so a new operation is tested by adding its row to one of the rows_*.cpp files:
//
//   const Register rows_softmax({
//       {.name = "softmax",
//        .op = [](const Tensors& x) { return softmax(x[0]); },
//        .cases = {{{3, 7}}, {{1, 1}}, {{2, 3, 17}}},  // per case: the shapes of the inputs
//        .reference = [](const Arrays& x) { ... naive f64 loops ... },
//        // K, the length of the sums of one result
//        .terms = [](const Shapes& s) { return s[0][-1]; }},
//   });
//
// What the drivers check: value in f64, f32 and bf16 against `reference`; gradients in f32 and bf16
// against f64; first and second derivatives in f64 against central differences; fused against
// composed gradient; gradients that add up over two passes; the same bits in two runs and on one or
// two threads; inputs and memory around results untouched. Keep cases small (up to about 100
// elements per input): derivatives cost two evaluations per element. Include sizes 1, primes and
// odd ones; a case of a few thousand elements is fine, its derivatives are checked at sampled
// elements.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband::op_table {

using Tensors = std::vector<Tensor>;
using Shapes = std::vector<Shape>;

// An input as the reference sees it.
struct Array {
  Shape shape;
  std::vector<double> values;
  double operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
  int64_t size() const { return static_cast<int64_t>(values.size()); }
};
using Arrays = std::vector<Array>;

// What random values an input gets.
enum class Domain : uint8_t {
  normal,          // N(0, 1)
  positive,        // uniform in [0.5, 2]
  away_from_zero,  // +-[0.1, 2]
  // Shuffled, at least 0.05 apart also between inputs, none within 0.01 of a multiple of 0.05.
  distinct,
  probabilities,  // positive, sums to 1 over the last dimension
};

struct Input {
  Domain domain = Domain::normal;
  bool parameter = false;  // stays f32 when the others are bf16 (gamma, running statistics, ...)
  bool differentiable = true;  // false: a constant for the derivative checks
};

struct Row {
  std::string name;
  std::function<Tensor(const Tensors&)> op;  // must depend on its arguments alone
  std::vector<Shapes> cases;
  // The result by plain loops in f64, row-major. Empty: no value check (say in a comment where it
  // is checked instead).
  std::function<std::vector<double>(const Arrays&)> reference = {};
  std::vector<Input> inputs = {};  // missing ones are {Domain::normal}
  // A result may be off by tolerance * eps * sqrt(K) times the larger of |reference| and the root
  // mean square of the whole reference; eps is 2^-23 for f32 and 2^-8 for bf16. Gradients get
  // gradient_tolerance in the same formula.
  double tolerance = 4;
  double gradient_tolerance = 16;
  std::function<int64_t(const Shapes&)> terms = [](const Shapes&) { return int64_t{1}; };
  bool bf16 = true;            // false: the op has no bf16 form
  bool differentiable = true;  // false: values only
  // false: only for a piecewise linear op, whose second derivative is zero or undefined.
  bool second_order = true;
};

// All rows, in the order of registration within each file.
const std::vector<Row>& rows();

// Adds rows to the table; one constant of this type per rows_*.cpp file.
class Register {
 public:
  explicit Register(std::vector<Row> rows);
};

}  // namespace passband::op_table
