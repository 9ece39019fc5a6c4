// Shared by the tests of operations on a GPU, real or emulated: an operation's result and
// gradients there, against the same in f64 on the CPU, and under every schedule of the emulator.
#pragma once
#include <cstring>

#include "tensor/core/kernel_source.h"
#include "tests/cuda_emulator/controls.h"
#include "tests/numeric.h"

namespace passband::device_check {

using numeric::Function;
using numeric::Tensors;

inline constexpr Device kDevice{DeviceType::cuda, 0};

// Products and convolutions by these kernels while it lives, and after it the settings that
// programs begin with.
struct KernelSourceGuard {
  explicit KernelSourceGuard(KernelSource source) {
    set_product_kernels(source);
    set_conv_kernels(source);
  }
  ~KernelSourceGuard() {
    set_product_kernels(KernelSource::native);
    set_conv_kernels(KernelSource::native);
    allow_tf32(false);
  }
};

inline Tensors on(Device device, const Tensors& inputs) {
  Tensors moved;
  for (const Tensor& input : inputs) moved.push_back(input.to(device));
  return moved;
}

inline Tensors in_f64(const Tensors& inputs) {
  Tensors wide;
  for (const Tensor& input : inputs)
    wide.push_back(Tensor::from(input.values(), input.shape(), DType::f64));
  return wide;
}

// Result and gradients of <f, w> for fixed weights w, on the host.
inline Tensors everything(const Function& f, const Tensors& inputs) {
  const Tensors x = numeric::leaves(inputs);
  const Tensor y = f(x);
  const Tensor seed = numeric::random_tensor(y.shape(), 77, DType::bf16);
  const Tensor weights = Tensor::from(seed.values(), y.shape(), y.dtype()).to(y.device());
  Tensors results{y.to(Device{})};
  for (const Tensor& g : grad(y, x, {.seed = weights})) results.push_back(g.to(Device{}));
  return results;
}

// What a sum of `terms` products of numbers of this type may be off by: c roundings of each, at
// random.
inline double allowance(DType dtype, double c, int64_t terms) {
  return c * (dtype == DType::bf16 ? 0x1p-8 : 0x1p-23) * std::sqrt(static_cast<double>(terms));
}

// Result and gradients against f64 on the CPU from the same inputs: no error exceeds `tolerance`
// times the root mean square of what the result should be.
inline void check_against_f64(const Function& f, const Tensors& inputs, double tolerance) {
  const Tensors got = everything(f, on(kDevice, inputs)), want = everything(f, in_f64(inputs));
  for (size_t i = 0; i < got.size(); ++i) {
    const std::vector<double> values = got[i].values(), exact = want[i].values();
    double squares = 0, worst = 0;
    for (size_t j = 0; j < exact.size(); ++j) {
      squares += exact[j] * exact[j];
      const double error = std::abs(values[j] - exact[j]);
      worst = numeric::worse(worst, error);
    }
    const double scale = std::sqrt(squares / static_cast<double>(exact.size())) + 1e-3;
    INFO("result ", i, " of ", inputs[0], ": largest error ", worst / scale,
         " of the root mean square");
    REQUIRE(worst <= tolerance * scale);
  }
}

// What `run` returns has the same bits whichever thread goes first.
template <class F> void check_same_bits_under_every_schedule(F&& run) {
  Tensors first;
  emulator::for_each_schedule(1, [&] {
    INFO(emulator::describe(emulator::options()));
    const Tensors got = run();
    if (first.empty()) first = got;
    for (size_t i = 0; i < got.size(); ++i) {
      const auto bytes = static_cast<size_t>(got[i].numel() * size_of(got[i].dtype()));
      REQUIRE(std::memcmp(got[i].raw(), first[i].raw(), bytes) == 0);
    }
  });
}

}  // namespace passband::device_check
