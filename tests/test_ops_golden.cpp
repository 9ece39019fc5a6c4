// Norms, attention and the lambda layer against PyTorch: values, gradients and second derivatives
// of golden/make_ops.py.
#include <cmath>

#include "models/weights.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/norm.h"
#include "tests/golden_file.h"
#include "tests/numeric.h"

namespace passband {
namespace {

using namespace numeric;

class Golden {
 public:
  Golden() : tensors_(read_safetensors(golden_file("ops.safetensors"))) {}
  const Tensor& at(const std::string& name) const { return tensors_.at(name); }
  Tensors at(const std::string& prefix, const std::vector<std::string>& names) const {
    Tensors result;
    for (const std::string& name : names) result.push_back(at(prefix + name));
    return result;
  }

 private:
  std::map<std::string, Tensor> tensors_;
};

const Golden& golden() {
  static const Golden instance;
  return instance;
}

// sum x * cos(i), as the generator weighs results and gradients.
Tensor weighted(const Tensor& x) {
  std::vector<double> w(static_cast<size_t>(x.numel()));
  for (size_t i = 0; i < w.size(); ++i) w[i] = std::cos(static_cast<double>(i));
  return sum(x * Tensor::from(w, x.shape(), DType::f64));
}

// Compares f with a case of the golden file: result, fused and composed gradients, second
// derivatives.
void check_case(const std::string& name, const std::vector<std::string>& names, const Function& f) {
  CAPTURE(name);
  const Tensors inputs = leaves(golden().at(name + ".in.", names));
  const Tensor y = f(inputs);
  CHECK(max_error(y, golden().at(name + ".y")) < 1e-12);
  const Tensors fused = grad(weighted(y), inputs, {.retain_graph = true});
  const Tensors first = grad(weighted(y), inputs, {.create_graph = true});
  Tensor total = Tensor::zeros({}, DType::f64);
  for (const Tensor& g : first) total = total + weighted(g);
  const Tensors second = grad(total, inputs, {.allow_unused = true});
  for (size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    CHECK(max_error(fused[i], golden().at(name + ".grad." + names[i])) < 1e-12);
    CHECK(max_error(first[i], golden().at(name + ".grad." + names[i])) < 1e-12);
    CHECK(max_error(second[i], golden().at(name + ".second." + names[i])) < 1e-11);
  }
}

TEST_CASE("batch norm with residual and relu equals PyTorch, in training and in evaluation") {
  for (const bool training : {true, false}) {
    const std::string name = training ? "batch_norm" : "batch_norm_eval";
    const BatchNormOptions options{
        .training = training, .momentum = 0.3, .eps = 1e-3, .relu = true};
    const Tensor mean = golden().at(name + ".running_mean") + 0.0,
                 var = golden().at(name + ".running_var") + 0.0;
    check_case(name, {"x", "gamma", "beta", "residual"}, [&](const Tensors& t) {
      return batch_norm(t[0], t[1], t[2], mean, var, options, t[3]);
    });
    CHECK(max_error(mean, golden().at(name + ".moved_mean")) < 1e-14);
    CHECK(max_error(var, golden().at(name + ".moved_var")) < 1e-14);
  }
}

TEST_CASE("layer norm and group norm equal PyTorch") {
  check_case("layer_norm", {"x", "gamma", "beta"},
             [](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); });
  check_case("group_norm", {"x", "gamma", "beta"},
             [](const Tensors& t) { return group_norm(t[0], t[1], t[2], 3); });
}

TEST_CASE(
    "attention in windows, shifted and with a relative bias, "
    "equals Swin's composition in PyTorch") {
  check_case("attention_windows", {"qkv", "bias"},
             [](const Tensors& t) { return attention(t[0], t[1], {.heads = 2, .window = 2}); });
  check_case("attention_shifted", {"qkv", "bias"}, [](const Tensors& t) {
    return attention(t[0], t[1], {.heads = 2, .window = 3, .shift = 1});
  });
}

TEST_CASE(
    "the lambda layer in both orders equals its composition of "
    "convolutions and products in PyTorch") {
  const std::vector<std::string> names{"q", "keys", "values", "embedding", "bias"};
  for (const LambdaOrder order : {LambdaOrder::score_first, LambdaOrder::lambda_first}) {
    check_case("lambda_global", names, [=](const Tensors& t) {
      return lambda_layer(t[0], t[1], t[2], t[3], t[4], {.heads = 2, .depth = 3, .order = order});
    });
    check_case("lambda_local", names, [=](const Tensors& t) {
      return lambda_layer(t[0], t[1], t[2], t[3], t[4],
                          {.heads = 2, .depth = 3, .intra_depth = 2, .window = 3, .order = order});
    });
  }
}

}  // namespace
}  // namespace passband
