// Every row of the op table on the emulator, its kernels under the memory checker
// (tests/cuda_emulator/checker.cpp): a race, a read of memory that nobody wrote, an access outside
// a tensor or a shared variable stops the row with the kernel, the line and the thread. Results and
// gradients have the same bits whichever thread goes first.
//
//   tests/test_kernels_checked -tc="*under every schedule*"
//
// That the results are right, drivers_device.cpp says of the same kernels without the checker, 25
// times faster.
#include "tests/cuda_emulator/controls.h"
#include "tests/op_table/harness.h"

namespace passband::op_table {
namespace {

constexpr Device kDevice{DeviceType::cuda, 0};

// The result and, where there are any, the gradients, on the host.
Tensors everything(const Row& row, const Tensors& inputs, const Tensor& seed) {
  Tensors there;
  for (const Tensor& input : inputs) there.push_back(input.to(kDevice));
  if (!row.differentiable) return {row.op(there).to({})};
  const Tensors leaves = as_leaves(row, there);
  const Tensor y = row.op(leaves);
  Tensors results{y.to({})};
  for (const Tensor& g :
       grad(y, differentiable(row, leaves), {.seed = seed.to(kDevice), .allow_unused = true}))
    if (g.defined()) results.push_back(g.to({}));
  return results;
}

void check_schedules(const Row& row, size_t at, DType dtype) {
  const Tensors inputs = make_inputs(row, at, dtype);
  const Tensor seed = row.differentiable ? random_like(row.op(inputs), 5) : Tensor{};
  Tensors first;
  emulator::for_each_schedule(1, [&] {
    INFO(name_of(dtype), " with ", emulator::describe(emulator::options()));
    const Tensors results = everything(row, inputs, seed);
    if (first.empty()) first = results;
    for (size_t i = 0; i < results.size(); ++i) CHECK(same_bits(results[i], first[i]));
  });
}

TEST_CASE("every operation in f32 is free of races and has the same bits under every schedule") {
  for_each_case([](const Row&) { return true; },
                [](const Row& row, size_t at) { check_schedules(row, at, DType::f32); });
}

TEST_CASE("every operation in bf16 is free of races and has the same bits under every schedule") {
  for_each_case([](const Row& row) { return row.bf16; },
                [](const Row& row, size_t at) { check_schedules(row, at, DType::bf16); });
}

}  // namespace
}  // namespace passband::op_table
