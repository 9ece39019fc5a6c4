// Batch, layer and group norm against naive f64 loops, closed forms and their own composed
// formulas.
#include "tests/numeric.h"

#include "tensor/core/parallel.h"
#include "tensor/core/profile.h"
#include "tensor/ops/norm.h"
#include "tests/nn_reference.h"

namespace passband {
namespace {

using namespace numeric;

struct Affine {
  Tensor gamma, beta;
  explicit Affine(int64_t channels, DType dtype = DType::f64)
      : gamma(random_tensor({channels}, 11, dtype, 0.5, 1.5)),
        beta(random_tensor({channels}, 12, dtype)) {}
};

// Tolerance of a result of order one, by storage type.
double tolerance(DType dtype) {
  return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 3e-6 : 1e-2;
}

Tensor norm_of(const Tensors& t, const BatchNormOptions& options) {
  return batch_norm(t[0], t[1], t[2], {}, {}, options, t.size() > 3 ? t[3] : Tensor{});
}

TEST_CASE("batch norm equals naive f64 loops for every type, with residual and relu") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{5, 33}, Shape{3, 5, 7, 1}, Shape{2, 3, 5, 17},
                               Shape{4, 8, 8, 64}, Shape{9, 40, 40, 70}}) {
      CAPTURE(name_of(dtype));
      CAPTURE(shape.str());
      Tensor x = random_tensor(shape, 1, dtype, -2, 3), residual = random_tensor(shape, 2, dtype);
      const Affine a(shape[-1], dtype == DType::f64 ? DType::f64 : DType::f32);
      std::vector<double> expected = reference::batch_norm(x, a.gamma, a.beta);
      CHECK(max_error(norm_of({x, a.gamma, a.beta}, {}), expected) < tolerance(dtype));
      const std::vector<double> r = residual.values();
      for (size_t i = 0; i < r.size(); ++i) expected[i] = std::max(0.0, expected[i] + r[i]);
      CHECK(max_error(norm_of({x, a.gamma, a.beta, residual}, {.relu = true}), expected) <
            tolerance(dtype));
    }
}

TEST_CASE("batch norm of a tensor too large for the caches equals naive f64 loops") {
  Tensor x = random_tensor({65600, 64}, 1, DType::f32, -2, 3),
         residual = random_tensor(x.shape(), 2, DType::f32);
  const Affine a(64, DType::f32);
  std::vector<double> expected = reference::batch_norm(x, a.gamma, a.beta);
  const std::vector<double> r = residual.values();
  for (size_t i = 0; i < r.size(); ++i) expected[i] = std::max(0.0, expected[i] + r[i]);
  CHECK(max_error(norm_of({x, a.gamma, a.beta, residual}, {.relu = true}), expected) < 3e-6);
}

TEST_CASE("batch norm keeps its digits when the mean is far from zero") {
  Tensor x = random_tensor({8, 16, 16, 24}, 1, DType::f32, 9999, 10001);
  const Affine a(24, DType::f32);
  CHECK(max_error(norm_of({x, a.gamma, a.beta}, {}), reference::batch_norm(x, a.gamma, a.beta)) <
        2e-3);
}

TEST_CASE("batch norm of a constant input is beta, and its gradient to x is zero") {
  const Affine a(3);
  Tensor x = Tensor::full({2, 4, 4, 3}, 7.5, DType::f64);
  const Tensor y = norm_of({x, a.gamma, a.beta}, {});
  for (int64_t i = 0; i < y.numel(); ++i)
    CHECK(y.values()[i] == doctest::Approx(a.beta.values()[i % 3]));
  const Tensor leaf = x.leaf();
  const Tensor dx = grad(sum(norm_of({leaf, a.gamma, a.beta}, {})), {leaf})[0];
  CHECK(max_difference(dx.values(), std::vector<double>(96, 0.0)) < 1e-9);
}

TEST_CASE("batch norm moves the running statistics by the batch mean and the unbiased variance") {
  Tensor x = Tensor::from({1, 10, 2, 20, 3, 30, 6, 60}, {4, 2}, DType::f64);
  const Affine a(2);
  const Tensor mean = Tensor::from({1, 1}, {2}, DType::f64),
               var = Tensor::from({2, 2}, {2}, DType::f64);
  const uint64_t version = mean.version();
  batch_norm(x, a.gamma, a.beta, mean, var, {.momentum = 0.25});
  CHECK(mean.values()[0] == doctest::Approx(0.75 * 1 + 0.25 * 3));
  CHECK(mean.values()[1] == doctest::Approx(0.75 * 1 + 0.25 * 30));
  CHECK(var.values()[0] == doctest::Approx(0.75 * 2 + 0.25 * 14.0 / 3));
  CHECK(var.values()[1] == doctest::Approx(0.75 * 2 + 0.25 * 1400.0 / 3));
  CHECK(mean.version() > version);
}

TEST_CASE("batch norm in evaluation reads the running statistics and leaves them alone") {
  Tensor x = random_tensor({3, 2, 2, 5}, 1), mean = random_tensor({5}, 2);
  const Tensor var = random_tensor({5}, 3, DType::f64, 0.5, 2);
  const Affine a(5);
  const std::vector<double> before = mean.values();
  const Tensor y = batch_norm(x, a.gamma, a.beta, mean, var, {.training = false});
  for (size_t i = 0; i < 60; ++i) {
    const size_t c = i % 5;
    const double expected = a.gamma.values()[c] * (x.values()[i] - mean.values()[c]) /
                                std::sqrt(var.values()[c] + 1e-5) +
                            a.beta.values()[c];
    CHECK(y.values()[i] == doctest::Approx(expected));
  }
  CHECK(mean.values() == before);
}

TEST_CASE(
    "batch norm's gradients are right to the third order, with and without relu and residual") {
  const Affine a(3);
  Tensor x = random_tensor({2, 2, 2, 3}, 1), residual = random_tensor({2, 2, 2, 3}, 2);
  const Tensor mean = random_tensor({3}, 5), var = random_tensor({3}, 6, DType::f64, 0.5, 2);
  for (const bool training : {true, false})
    for (const bool relu : {false, true})
      for (const bool added : {false, true}) {
        CAPTURE(training);
        CAPTURE(relu);
        CAPTURE(added);
        const BatchNormOptions options{
            .training = training, .momentum = 0, .eps = 0.1, .relu = relu};
        const Function f = [&](const Tensors& t) {
          return batch_norm(t[0], t[1], t[2], mean, var, options, t.size() > 3 ? t[3] : Tensor{});
        };
        Tensors inputs{x, a.gamma, a.beta};
        if (added) inputs.push_back(residual);
        CHECK(fused_against_composed(f, inputs) < 1e-12);
        CHECK(gradient_error(f, inputs) < 1e-7);
        CHECK(gradient_error(directional(f), inputs) < 1e-7);
        // In evaluation the norm is bilinear in x and gamma: there is no third derivative to test.
        if (training) CHECK(gradient_error(directional(directional(f)), inputs) < 1e-6);
      }
}

TEST_CASE(
    "batch norm's fused gradients equal the composed ones in f32 and bf16 on wide and odd shapes") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{2, 3, 5, 17}, Shape{4, 16, 16, 64}, Shape{6, 24, 24, 40}})
      for (const bool added : {false, true}) {
        CAPTURE(name_of(dtype));
        CAPTURE(shape.str());
        const Affine a(shape[-1], DType::f32);
        Tensors inputs{random_tensor(shape, 1, dtype), a.gamma, a.beta};
        if (added) inputs.push_back(random_tensor(shape, 2, dtype));
        const Function f = [](const Tensors& t) { return norm_of(t, {.relu = true}); };
        const Tensors fused = gradients(f, inputs), composed = gradients(f, inputs, true);
        for (size_t i = 0; i < fused.size(); ++i) {
          CAPTURE(i);
          CHECK(max_error(fused[i], composed[i]) < (dtype == DType::f32 ? 2e-5 : 2e-2));
        }
      }
}

TEST_CASE("layer norm equals naive f64 loops and its gradients are right to the third order") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{1, 1}, Shape{3, 17}, Shape{2, 65, 192}, Shape{2, 3, 3, 130}}) {
      CAPTURE(name_of(dtype));
      CAPTURE(shape.str());
      Tensor x = random_tensor(shape, 1, dtype, 3, 5);
      const Affine a(shape[-1], dtype == DType::f64 ? DType::f64 : DType::f32);
      CHECK(max_error(layer_norm(x, a.gamma, a.beta), reference::layer_norm(x, a.gamma, a.beta)) <
            tolerance(dtype) * 5);
    }
  const Affine a(5);
  const Tensors inputs{random_tensor({2, 3, 5}, 1), a.gamma, a.beta};
  const Function f = [](const Tensors& t) { return layer_norm(t[0], t[1], t[2], 0.1); };
  CHECK(fused_against_composed(f, inputs) < 1e-12);
  CHECK(gradient_error(f, inputs) < 1e-7);
  CHECK(gradient_error(directional(f), inputs) < 1e-7);
  CHECK(gradient_error(directional(directional(f)), inputs) < 1e-6);
}

TEST_CASE("layer norm's fused gradients equal the composed ones in f32 and bf16") {
  const Function f = [](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int64_t C : {17, 64, 192, 1000}) {
      CAPTURE(C);
      const Affine a(C, DType::f32);
      CHECK(fused_against_composed(f, {random_tensor({40, 7, C}, 1, dtype), a.gamma, a.beta}) <
            (dtype == DType::f32 ? 2e-5 : 2e-2));
    }
}

TEST_CASE("group norm equals naive f64 loops and its gradients are right to the third order") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const int64_t groups : {1, 3, 12}) {
      CAPTURE(groups);
      Tensor x = random_tensor({3, 5, 7, 12}, 1, dtype, -1, 3);
      const Affine a(12, dtype == DType::f64 ? DType::f64 : DType::f32);
      CHECK(max_error(group_norm(x, a.gamma, a.beta, groups),
                      reference::group_norm(x, a.gamma, a.beta, groups)) < tolerance(dtype));
    }
  const Affine a(4);
  const Tensors inputs{random_tensor({2, 2, 3, 4}, 1), a.gamma, a.beta};
  const Function f = [](const Tensors& t) { return group_norm(t[0], t[1], t[2], 2, 0.1); };
  CHECK(fused_against_composed(f, inputs) < 1e-12);
  CHECK(gradient_error(f, inputs) < 1e-7);
  CHECK(gradient_error(directional(f), inputs) < 1e-7);
  CHECK(gradient_error(directional(directional(f)), inputs) < 1e-6);
}

// Around a norm: x + norm(x).
const Function kShortcuts[] = {
    [](const Tensors& t) {
      return add(batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}), t[0]);
    },
    [](const Tensors& t) { return add(t[0], batch_norm(t[0], t[1], t[2], {}, {})); },
    [](const Tensors& t) { return add(layer_norm(t[0], t[1], t[2]), t[0]); },
};

TEST_CASE("a shortcut's gradient is added where the norm that it passes by makes its own") {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const Function& f : kShortcuts) {
      const Affine affine(21, dtype);
      const Tensors inputs{random_tensor({9, 5, 21}, 1, dtype).leaf(), affine.gamma.leaf(),
                           affine.beta.leaf()};
      const Tensor seed = random_tensor({9, 5, 21}, 2, dtype);
      const Tensors composed = grad(f(inputs), inputs, {.seed = seed, .create_graph = true});
      const Tensor y = f(inputs);
      start_profile();
      const Tensors fused = grad(y, inputs, {.seed = seed});
      for (const KernelTime& time : stop_profile()) CHECK(time.kernel != "zip");
      for (size_t i = 0; i < fused.size(); ++i)
        CHECK(max_error(fused[i], composed[i]) <= 20 * tolerance(dtype));
    }
}

TEST_CASE("norms give the same bits on any number of threads") {
  const int threads = thread_count();
  const Shape shape{7, 37, 37, 33};
  const Affine a(33, DType::f32);
  const Tensors inputs{random_tensor(shape, 1, DType::f32), a.gamma, a.beta};
  const Function all = [](const Tensors& t) {
    return batch_norm(t[0], t[1], t[2], {}, {}, {.relu = true}) + layer_norm(t[0], t[1], t[2]) +
           group_norm(t[0], t[1], t[2], 3);
  };
  set_thread_count(1);
  const Tensor alone = all(inputs);
  const Tensors alone_gradients = gradients(all, inputs);
  for (const int count : {2, 3}) {
    set_thread_count(count);
    CHECK(max_difference(all(inputs).values(), alone.values()) == 0);
    const Tensors g = gradients(all, inputs);
    for (size_t i = 0; i < g.size(); ++i)
      CHECK(max_difference(g[i].values(), alone_gradients[i].values()) == 0);
  }
  set_thread_count(threads);
}

TEST_CASE("only the gradients that are needed are made, and each input alone gets the same one") {
  const Affine a(6);
  const Tensors inputs{random_tensor({2, 3, 3, 6}, 1), a.gamma, a.beta,
                       random_tensor({2, 3, 3, 6}, 2)};
  const Function f = [](const Tensors& t) { return norm_of(t, {.relu = true}); };
  const Tensors all = gradients(f, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    Tensors partly = inputs;
    partly[i] = inputs[i].leaf();
    CHECK(max_error(grad(weighted_sum(f, partly), {partly[i]})[0], all[i]) < 1e-14);
  }
}

TEST_CASE("a NaN in the input of batch norm reaches the output through the relu") {
  const Affine a(2);
  Tensor x = random_tensor({3, 2}, 1);
  x.data<double>()[0] = NAN;
  CHECK(std::isnan(norm_of({x, a.gamma, a.beta}, {.relu = true}).values()[0]));
}

TEST_CASE("norms name what is wrong with their operands") {
  Tensor x = random_tensor({2, 2, 2, 6}, 1, DType::f32);
  const Affine a(6, DType::f32), wrong(5, DType::f32), wide(6);
  CHECK(error_of([&] {
          norm_of({x, wrong.gamma, a.beta}, {});
        }) == "batch_norm: gamma must be f32[6] for x f32[2, 2, 2, 6]@cpu, it is f32[5]@cpu");
  CHECK(error_of([&] {
          norm_of({x, a.gamma, wide.beta}, {});
        }) == "batch_norm: beta must be f32[6] for x f32[2, 2, 2, 6]@cpu, it is f64[6]@cpu");
  CHECK(error_of([&] {
          norm_of({x, a.gamma, a.beta}, {.training = false});
        }) == "batch_norm: running_mean must be f32[6] for x f32[2, 2, 2, 6]@cpu, it is undefined");
  CHECK(error_of([&] {
          norm_of({random_tensor({1, 6}, 1, DType::f32), a.gamma, a.beta}, {});
        }) ==
        "batch_norm: training needs more than one value per channel, x is f32[1, 6]@cpu; use a "
        "larger batch or evaluation mode");
  CHECK(error_of([&] {
          norm_of({x, a.gamma, a.beta, random_tensor({2, 2, 6}, 1, DType::f32)}, {});
        }) ==
        "batch_norm: the residual must be like x: x is f32[2, 2, 2, "
        "6]@cpu, the residual is f32[2, 2, 6]@cpu");
  CHECK(error_of([&] { layer_norm(x, wrong.gamma, a.beta); }) ==
        "layer_norm: gamma must be f32[6] for x f32[2, 2, 2, 6]@cpu, it is f32[5]@cpu");
  CHECK(error_of([&] { group_norm(x, a.gamma, a.beta, 4); }) ==
        "group_norm: 4 groups do not divide the 6 channels of x f32[2, 2, 2, 6]@cpu");
}

}  // namespace
}  // namespace passband
