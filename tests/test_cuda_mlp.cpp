// The MLP on the GPU, real or emulated: both forms of the GELU in the epilogues of both sources, at
// shapes the op table does not have (several tiles, tails, lines of whole runs), and the same bits
// under any schedule.
#include "tensor/ops/mlp.h"
#include "tests/device_check.h"

namespace passband {
namespace {

using namespace numeric;
using namespace device_check;

struct Sizes {
  int64_t rows, in, hidden, out;
  bool biased = true;
};

Tensors inputs_of(const Sizes& s, DType dtype) {
  Tensors inputs{random_tensor({s.rows, s.in}, 1, dtype), random_tensor({s.hidden, s.in}, 2, dtype),
                 random_tensor({s.out, s.hidden}, 3, dtype),
                 random_tensor({s.rows, s.out}, 4, dtype)};
  if (s.biased) {
    inputs.push_back(random_tensor({s.hidden}, 5, dtype));
    inputs.push_back(random_tensor({s.out}, 6, dtype));
  }
  return inputs;
}

Function function_of(GeluForm form) {
  return [form](const Tensors& t) {
    const bool biased = t.size() > 4;
    return mlp(t[0], t[1], biased ? t[4] : Tensor{}, t[2], biased ? t[5] : Tensor{}, t[3], form);
  };
}

// Sums of up to `rows` terms whose operands are rounded after the first product.
void check(const Sizes& s, DType dtype, GeluForm form, double eps_scale = 1) {
  CAPTURE(static_cast<int>(form));
  check_against_f64(function_of(form), inputs_of(s, dtype),
                    eps_scale * allowance(dtype, 4, std::max(s.hidden, s.rows)));
}

const std::vector<Sizes>& sizes() {
  static const std::vector<Sizes> list{
      {1, 1, 1, 1},
      {150, 40, 136, 24},        // tiles that end in the middle, of whole runs of 16 bytes
      {65, 33, 70, 9},           // runs that do not line up
      {40, 24, 72, 520, false},  // a long sum in the gradient, which is not split
  };
  return list;
}

TEST_CASE(
    "the MLP on the GPU equals f64, result and gradients, "
    "with both forms of GELU and both sources of kernels") {
  for (const KernelSource source : {KernelSource::native, KernelSource::library}) {
    const KernelSourceGuard guard(source);
    CAPTURE(name_of(source));
    for (const GeluForm form : {GeluForm::erf, GeluForm::tanh})
      for (const Sizes& s : sizes()) {
        check(s, DType::f32, form);
        check(s, DType::bf16, form);
      }
  }
}

TEST_CASE("either source of kernels may be chosen for the MLP") {
  const KernelSourceGuard guard(KernelSource::automatic);
  for (const GeluForm form : {GeluForm::erf, GeluForm::tanh})
    check({20, 16, 24, 8}, DType::bf16, form);
}

TEST_CASE("the MLP in tf32 is as exact as 10 bits of mantissa allow") {
  const KernelSourceGuard guard(KernelSource::native);
  allow_tf32(true);
  for (const Sizes& s : sizes()) check(s, DType::f32, GeluForm::erf, 0x1p-10 / 0x1p-23);
}

TEST_CASE("rows by the thousand, which the large tiles serve, go through the same epilogues") {
  check({2176, 8, 1024, 8}, DType::bf16, GeluForm::erf);
}

TEST_CASE("the MLP keeps nothing for a gradient that nobody wants") {
  const Tensors inputs = on(kDevice, inputs_of({33, 16, 64, 8}, DType::f32));
  const Tensor y = function_of(GeluForm::erf)(inputs);
  CHECK(max_error(y.to({}), function_of(GeluForm::erf)(leaves(inputs)).detach().to({})) == 0);
}

TEST_CASE("an MLP of no rows has no result and gradients of zero") {
  const Tensors results =
      everything(function_of(GeluForm::erf), on(kDevice, inputs_of({0, 3, 5, 2}, DType::f32)));
  CHECK(results[0].numel() == 0);
  CHECK(max_error(results[2], Tensor::zeros({5, 3})) == 0);
  CHECK(max_error(results[5], Tensor::zeros({5})) == 0);
}

TEST_CASE("the MLP gives the same bits under every schedule") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensors inputs = on(kDevice, inputs_of({70, 16, 72, 9}, dtype));
    check_same_bits_under_every_schedule(
        [&] { return everything(function_of(GeluForm::erf), inputs); });
  }
}

}  // namespace
}  // namespace passband
