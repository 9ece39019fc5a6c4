// Checks of results: right, reproducible, and written nowhere else.
#include "tests/op_table/harness.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/parallel.h"

namespace passband::op_table {
namespace {

bool any(const Row&) { return true; }
bool has_reference(const Row& row) { return static_cast<bool>(row.reference); }

void check_value(const Row& row, size_t at, DType dtype) {
  const Tensors inputs = make_inputs(row, at, dtype);
  const Tensor y = row.op(inputs);
  const std::vector<double> want = row.reference(as_arrays(inputs));
  const Comparison result = compare(y.values(), want, allowance(row, at, dtype, row.tolerance));
  INFO(describe(result));
  CHECK(result.worst <= 1);
}

TEST_CASE("every op equals plain f64 loops, in f64") {
  for_each_case(has_reference, [](const Row& row, size_t at) { check_value(row, at, DType::f64); });
}

TEST_CASE("every op equals plain f64 loops, in f32") {
  for_each_case(has_reference, [](const Row& row, size_t at) { check_value(row, at, DType::f32); });
}

TEST_CASE("every op equals plain f64 loops, in bf16") {
  for_each_case([](const Row& row) { return row.bf16 && row.reference; },
                [](const Row& row, size_t at) { check_value(row, at, DType::bf16); });
}

// The result and, for a differentiable op, its gradients.
Tensors result_and_gradients(const Row& row, const Tensors& inputs) {
  const Tensors leaves = row.differentiable ? as_leaves(row, inputs) : inputs;
  const Tensor y = row.op(leaves);
  Tensors results{y.detach()};
  if (!row.differentiable) return results;
  for (const Tensor& dx :
       grad(y, differentiable(row, leaves), {.seed = random_like(y, 3), .allow_unused = true}))
    results.push_back(dx);
  return results;
}

bool all_same_bits(const Tensors& a, const Tensors& b) {
  return std::ranges::equal(
      a, b, [](const Tensor& left, const Tensor& right) { return same_bits(left, right); });
}

TEST_CASE("every op and its gradient have the same bits in two runs and on one or two threads") {
  const SplitShortLoops guard;
  const int threads = thread_count();
  for_each_case(any, [](const Row& row, size_t at) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensors inputs = make_inputs(row, at, dtype);
      set_thread_count(2);
      const Tensors first = result_and_gradients(row, inputs),
                    again = result_and_gradients(row, inputs);
      set_thread_count(1);
      const Tensors alone = result_and_gradients(row, inputs);
      CHECK_MESSAGE(all_same_bits(first, again), name_of(dtype), ": two runs differ");
      CHECK_MESSAGE(all_same_bits(first, alone), name_of(dtype), ": one and two threads differ");
    }
  });
  set_thread_count(threads);
}

Tensors in_filled_memory(const Row& row, const Tensors& inputs) {
  struct Filled {
    Filled() { fill_fresh_memory(true); }
    ~Filled() { fill_fresh_memory(false); }
  } guard;
  return result_and_gradients(row, inputs);
}

TEST_CASE(
    "no op changes its inputs, writes past its results or reads memory that was never written") {
  for_each_case(any, [](const Row& row, size_t at) {
    const Tensors inputs = make_inputs(row, at, DType::f32), before = in_f64(inputs);
    const Tensors results = in_filled_memory(row, inputs);
    for (size_t i = 0; i < inputs.size(); ++i) CHECK(inputs[i].values() == before[i].values());
    for (size_t i = 0; i < results.size(); ++i) {
      const std::vector<double> values = results[i].values();
      CHECK_MESSAGE(std::ranges::none_of(values, [](double value) { return std::isnan(value); }),
                    "NaN in result ", i);
      const bool own = std::ranges::none_of(
          inputs, [&](const Tensor& x) { return x.shares_memory_with(results[i]); });
      if (own) CHECK_MESSAGE(padding_untouched(results[i]), "bytes past result ", i, " changed");
    }
  });
}

}  // namespace
}  // namespace passband::op_table
