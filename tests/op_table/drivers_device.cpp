// The op table on a GPU, real or emulated: every row's result and gradients equal the CPU's, in f32
// and bf16.
//
// To run a part of it, while writing a kernel family (build the target test_op_table_emulated):
//
//   tests/test_op_table_emulated                                  everything
//   PASSBAND_ROWS=softmax tests/test_op_table_emulated            rows with such a word in the name
//   PASSBAND_ROWS=conv2d,matmul tests/test_op_table_emulated -tc="*gradients*"
//   PASSBAND_EMULATOR="order=greedy,seed=3" tests/test_op_table_emulated
//                                                  another schedule (cuda_emulator/controls.h)
//
// What a result may be off by: tolerance * eps * sqrt(K) of the row (op_table.h), against the same
// op in f64 on the CPU from the same rounded inputs; gradients get gradient_tolerance. So the
// device meets the bound the CPU kernels meet.
#include <cstdlib>
#include <sstream>

#include "tensor/ops/gather.h"
#include "tests/op_table/harness.h"

namespace passband::op_table {
namespace {

constexpr Device kDevice{DeviceType::cuda, 0};

// Rows that PASSBAND_ROWS names, all without it.
bool is_asked_for(const Row& row) {
  const char* const words = std::getenv("PASSBAND_ROWS");
  if (!words || !*words) return true;
  std::istringstream list(words);
  for (std::string word; std::getline(list, word, ',');)
    if (row.name.find(word) != std::string::npos) return true;
  return false;
}

bool is_differentiable(const Row& row) { return is_asked_for(row) && row.differentiable; }
bool has_bf16(const Row& row) { return is_asked_for(row) && row.bf16; }
bool has_bf16_gradient(const Row& row) { return is_differentiable(row) && row.bf16; }

Tensors on_device(const Tensors& inputs) {
  Tensors moved;
  for (const Tensor& input : inputs) moved.push_back(input.to(kDevice));
  return moved;
}

void check_value(const Row& row, size_t at, DType dtype) {
  const Tensors inputs = make_inputs(row, at, dtype);
  const Tensor want = row.op(in_f64(inputs)), got = row.op(on_device(inputs));
  CHECK(got.device() == kDevice);
  const Comparison result =
      compare(got.values(), want.values(), allowance(row, at, dtype, row.tolerance));
  INFO(name_of(dtype), ": ", describe(result));
  CHECK(result.worst <= 1);
}

Tensors gradients(const Row& row, const Tensors& inputs, const Tensor& seed) {
  const Tensors leaves = as_leaves(row, inputs);
  return grad(row.op(leaves), differentiable(row, leaves), {.seed = seed, .allow_unused = true});
}

void check_gradients(const Row& row, size_t at, DType dtype) {
  const Tensors inputs = make_inputs(row, at, dtype);
  const Tensor seed = random_like(row.op(inputs), 5);
  const Tensors got = gradients(row, on_device(inputs), seed.to(kDevice)),
                want = gradients(row, in_f64(inputs), in_f64({seed})[0]);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].defined() == want[i].defined());
    if (!got[i].defined() || !want[i].defined()) continue;
    const Comparison result = compare(got[i].values(), want[i].values(),
                                      allowance(row, at, dtype, row.gradient_tolerance));
    INFO(name_of(dtype), ", input ", i, ": ", describe(result));
    CHECK(result.worst <= 1);
  }
}

TEST_CASE("values in f32 on the device equal the CPU's") {
  for_each_case(is_asked_for, [](const Row& row, size_t at) { check_value(row, at, DType::f32); });
}

TEST_CASE("values in bf16 on the device equal the CPU's") {
  for_each_case(has_bf16, [](const Row& row, size_t at) { check_value(row, at, DType::bf16); });
}

TEST_CASE("gradients in f32 on the device equal the CPU's") {
  for_each_case(is_differentiable,
                [](const Row& row, size_t at) { check_gradients(row, at, DType::f32); });
}

TEST_CASE("gradients in bf16 on the device equal the CPU's") {
  for_each_case(has_bf16_gradient,
                [](const Row& row, size_t at) { check_gradients(row, at, DType::bf16); });
}

// What the CPU refuses, nobody needs on the device.
bool cpu_takes(const Row& row) {
  try {
    row.op(make_inputs(row, 0, DType::f32));
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST_CASE("with zero in every dimension the device gives the CPU's values and gradients in f32") {
  for_each_case(is_asked_for, [](const Row& row, size_t at) {
    if (at > 0) return;
    for (const Row& empty : emptied(row, at)) {
      std::string shapes;
      for (const Shape& shape : empty.cases[0]) shapes += shape.str() + " ";
      INFO("with ", shapes);
      if (!cpu_takes(empty)) continue;
      check_value(empty, 0, DType::f32);
      if (empty.differentiable) check_gradients(empty, 0, DType::f32);
    }
  });
}

TEST_CASE("results and gradients have the same bits in two runs on the device") {
  for_each_case(is_differentiable, [](const Row& row, size_t at) {
    const Tensors inputs = on_device(make_inputs(row, at, DType::f32));
    const Tensor seed = random_like(row.op(inputs), 5);
    const Tensors first = gradients(row, inputs, seed), again = gradients(row, inputs, seed);
    for (size_t i = 0; i < first.size(); ++i)
      if (first[i].defined()) CHECK(same_bits(first[i].to({}), again[i].to({})));
  });
}

TEST_CASE("an index outside its bounds is thrown by the next copy to the host, and only by that") {
  const Tensor x = Tensor::zeros({5, 3}, DType::f32, kDevice);
  const Tensor rows = gather(x, Tensor::from({1, 4, 5, -1}, {4}, DType::i32, kDevice));
  CHECK_THROWS_WITH(rows.values(), "gather: index 2 is 5, outside [0, 5)");
  CHECK(x.values() == std::vector<double>(15));
}

}  // namespace
}  // namespace passband::op_table
