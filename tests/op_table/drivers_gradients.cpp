// Checks of first and second derivatives.
#include "tests/op_table/harness.h"

#include <cmath>
#include <map>
#include <numeric>

#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband::op_table {
namespace {

constexpr double kStep = 1e-5;
constexpr size_t kMaxElements = 24;  // per input; more are sampled

bool is_differentiable(const Row& row) { return row.differentiable; }
bool is_twice_differentiable(const Row& row) { return row.differentiable && row.second_order; }

// All elements of a small tensor, some of a large one.
std::vector<size_t> elements_to_check(const Tensor& x) {
  std::vector<size_t> elements(static_cast<size_t>(x.numel()));
  std::iota(elements.begin(), elements.end(), size_t{0});
  if (elements.size() <= kMaxElements) return elements;
  RandomSequence random({.seed = 4, .step = 0, .site = elements.size()});
  std::vector<size_t> chosen;
  while (chosen.size() < kMaxElements)
    chosen.push_back(static_cast<size_t>(random.below(x.numel())));
  return chosen;
}

// A function of some tensors with a list of tensors as result, and the weight of each result in a
// sum.
using Function = std::function<Tensors(const Tensors&)>;

// Central difference of sum <f, weight> along one element of one input. Results are subtracted
// before they are summed, so that many results do not drown the difference.
double difference(const Function& f, const Tensors& weights, const Tensors& inputs, size_t input,
                  size_t element) {
  Tensors side[2];
  for (const int up : {0, 1}) {
    Tensors moved = inputs;
    std::vector<double> values = inputs[input].values();
    values[element] += up ? kStep : -kStep;
    moved[input] = Tensor::from(values, inputs[input].shape(), DType::f64);
    side[up] = f(moved);
  }
  double total = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::vector<double> low = side[0][i].values(), high = side[1][i].values(),
                              weight = weights[i].values();
    for (size_t k = 0; k < weight.size(); ++k) total += (high[k] - low[k]) * weight[k];
  }
  return total / (2 * kStep);
}

// gradients[i] against central differences, for the inputs that have one.
void check_against_differences(const Function& f, const Tensors& weights, const Tensors& inputs,
                               const Tensors& gradients, double tolerance) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!gradients[i].defined()) continue;
    const std::vector<double> gradient = gradients[i].values();
    for (const size_t element : elements_to_check(inputs[i])) {
      const double numeric = difference(f, weights, inputs, i, element),
                   analytic = gradient[element];
      INFO("input ", i, " element ", element, ": derivative ", analytic, ", difference quotient ",
           numeric);
      CHECK(std::abs(numeric - analytic) <= tolerance * (1 + std::abs(analytic)));
    }
  }
}

// Gradients in the places of the inputs, undefined for constants.
Tensors in_places(const Row& row, const Tensors& gradients, size_t count) {
  Tensors placed(count);
  for (size_t i = 0, next = 0; i < count; ++i)
    if (i >= row.inputs.size() || row.inputs[i].differentiable) placed[i] = gradients[next++];
  return placed;
}

Tensors first_gradients(const Row& row, const Tensors& leaves, const Tensor& seed,
                        bool create_graph) {
  return grad(row.op(leaves), differentiable(row, leaves),
              {.seed = seed, .create_graph = create_graph, .allow_unused = true});
}

TEST_CASE("first derivatives equal central differences in f64") {
  for_each_case(is_differentiable, [](const Row& row, size_t at) {
    const Tensors inputs = make_inputs(row, at, DType::f64), leaves = as_leaves(row, inputs);
    const Tensor seed = random_like(row.op(inputs), 5);
    const Tensors gradients =
        in_places(row, first_gradients(row, leaves, seed, false), inputs.size());
    const Function f = [&](const Tensors& x) { return Tensors{row.op(x)}; };
    check_against_differences(f, {seed}, inputs, gradients, 1e-7);
  });
}

// Random directions for gradients.
Tensors directions_for(const Tensors& gradients) {
  Tensors directions;
  for (const Tensor& gradient : gradients)
    directions.push_back(random_like(gradient, 6 + directions.size()));
  return directions;
}

// sum of <gradient, direction>.
Tensor projected(const Tensors& gradients, const Tensors& directions) {
  Tensor total = Tensor::zeros({}, DType::f64);
  for (size_t i = 0; i < gradients.size(); ++i)
    total = add(total, sum(mul(gradients[i], directions[i])));
  return total;
}

// The gradient of an op as a function of its inputs and of the seed, differentiated once more along
// random directions.
void check_second_derivative(const Row& row, size_t at) {
  Tensors inputs = make_inputs(row, at, DType::f64);
  const size_t count = inputs.size();
  inputs.push_back(random_like(row.op(inputs), 5));
  const auto all_but_seed = [](const Tensors& all) { return Tensors(all.begin(), all.end() - 1); };
  const Function f = [&](const Tensors& all) {
    return first_gradients(row, as_leaves(row, all_but_seed(all)), all.back(), false);
  };
  const Tensors leaves = as_leaves(row, all_but_seed(inputs));
  const Tensor seed = inputs.back().leaf();
  const Tensors first = first_gradients(row, leaves, seed, true),
                directions = directions_for(first);
  const Tensor projection = projected(first, directions);
  Tensors sources = differentiable(row, leaves);
  sources.push_back(seed);
  Tensors second;
  if (projection.tracked()) second = grad(projection, sources, {.allow_unused = true});
  else
    for (const Tensor& source : sources)
      second.push_back(Tensor::zeros_like(source));  // the gradient is constant
  Tensors gradients = in_places(row, second, count);
  gradients.push_back(second.back());
  check_against_differences(f, directions, inputs, gradients, 1e-6);
}

TEST_CASE("second derivatives equal central differences of the gradient in f64") {
  for_each_case(is_twice_differentiable, check_second_derivative);
}

TEST_CASE("the fused gradient equals the composed one") {
  for_each_case(is_differentiable, [](const Row& row, size_t at) {
    const Tensors leaves = as_leaves(row, make_inputs(row, at, DType::f64));
    const Tensor seed = random_like(row.op(leaves), 5);
    const Tensors fused = first_gradients(row, leaves, seed, false);
    const Tensors composed = first_gradients(row, leaves, seed, true);
    for (size_t i = 0; i < fused.size(); ++i) {
      const Comparison result = compare(fused[i].values(), composed[i].values(),
                                        allowance(row, at, DType::f64, row.gradient_tolerance));
      INFO("input ", i, ": ", describe(result));
      CHECK(result.worst <= 1);
    }
  });
}

void check_gradients_of_type(const Row& row, size_t at, DType dtype) {
  const Tensors inputs = make_inputs(row, at, dtype), leaves = as_leaves(row, inputs);
  const Tensor seed = random_like(row.op(inputs), 5);
  const Tensors wide = as_leaves(row, in_f64(inputs));
  const Tensors got = first_gradients(row, leaves, seed, false);
  const Tensors want = first_gradients(row, wide, in_f64({seed})[0], false);
  for (size_t i = 0; i < got.size(); ++i) {
    const Comparison result = compare(got[i].values(), want[i].values(),
                                      allowance(row, at, dtype, row.gradient_tolerance));
    INFO("input ", i, ": ", describe(result));
    CHECK(result.worst <= 1);
  }
}

TEST_CASE("gradients in f32 equal those in f64") {
  for_each_case(is_differentiable,
                [](const Row& row, size_t at) { check_gradients_of_type(row, at, DType::f32); });
}

TEST_CASE("gradients in bf16 equal those in f64") {
  for_each_case([](const Row& row) { return row.differentiable && row.bf16; },
                [](const Row& row, size_t at) { check_gradients_of_type(row, at, DType::bf16); });
}

TEST_CASE("backward twice gives twice the gradient") {
  for_each_case(is_differentiable, [](const Row& row, size_t at) {
    const Tensors leaves = as_leaves(row, make_inputs(row, at, DType::f64));
    const Tensor y = row.op(leaves), seed = random_like(y, 5);
    backward(y, {.seed = seed, .retain_graph = true});
    Tensors once;
    for (const Tensor& leaf : differentiable(row, leaves)) once.push_back(grad_of(leaf));
    std::vector<std::vector<double>> doubled;
    for (const Tensor& gradient : once)
      doubled.push_back(gradient.defined() ? mul(gradient, 2.0).values() : std::vector<double>{});
    backward(y, {.seed = seed});
    const Tensors sources = differentiable(row, leaves);
    for (size_t i = 0; i < sources.size(); ++i)
      if (grad_of(sources[i]).defined()) CHECK(grad_of(sources[i]).values() == doubled[i]);
  });
}

// Whether the op takes such inputs; an op that cannot says so.
bool takes(const Row& row) {
  try {
    row.op(make_inputs(row, 0, DType::f64));
    return true;
  } catch (const Error& error) {
    const std::string reason = error.what();
    CHECK_MESSAGE(reason.find("primitive") == std::string::npos, "a library refused: ", reason);
    return false;
  }
}

bool all_written(const Tensor& x) {
  return std::ranges::none_of(x.values(), [](double value) { return std::isnan(value); });
}

// Value and gradients of an op some of whose inputs have no elements: each element is written, and
// gradients are derivatives.
void check_empty(const Row& row) {
  const Tensors inputs = make_inputs(row, 0, DType::f64);
  fill_fresh_memory(true);
  const Tensor y = row.op(inputs);
  CHECK(all_written(y));
  if (row.differentiable) {
    const Tensors leaves = as_leaves(row, inputs);
    const Tensor seed = random_like(y, 5);
    const Tensors gradients =
        in_places(row, first_gradients(row, leaves, seed, false), inputs.size());
    const Function f = [&](const Tensors& x) { return Tensors{row.op(x)}; };
    check_against_differences(f, {seed}, inputs, gradients, 1e-7);
  }
  fill_fresh_memory(false);
}

TEST_CASE("every op has a value and gradients, or refuses, with zero in every dimension") {
  constexpr size_t kCases = 3;  // of a row: more have no other dimensions
  std::map<std::string, size_t> taken;
  const auto any = [](const Row&) { return true; };
  for_each_case(any, [&](const Row& row, size_t at) {
    if (at >= kCases) return;
    for (const Row& empty : emptied(row, at)) {
      std::string shapes;
      for (const Shape& shape : empty.cases[0]) shapes += shape.str() + " ";
      INFO("with ", shapes);
      if (!takes(empty)) continue;
      ++taken[row.name];
      check_empty(empty);
    }
  });
  for (const char* name : {"attention", "lambda_layer, global, score first", "concat of the middle",
                           "conv2d_3x3", "matmul", "softmax", "sum of rows", "prod of rows"})
    CHECK_MESSAGE(taken[name] > 0, name, " takes nothing that is empty");
}

}  // namespace
}  // namespace passband::op_table
