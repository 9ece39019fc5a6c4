// Rows of pointwise operations.
#include "tensor/ops/pointwise.h"

#include <algorithm>

#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

const std::vector<Shapes> kOne = {{{1}}, {{3, 7}}, {{2, 5, 1, 13}}, {{4099}}, {{0, 5}}, {Shape{}}};

const std::vector<Shapes> kTwo = {
    {{3, 7}, {3, 7}},          {{4, 5}, {5}},     {{5}, {4, 5}},
    {{2, 3, 4}, {2, 1, 4}},    {{3, 4}, Shape{}}, {{2, 3, 5}, {2, 3, 1}},
    {{7, 1}, {1, 6}},          {{0, 3}, {3}},     {{1}, {1}},
    {{3, 1, 2, 5}, {4, 1, 1}}, {{61, 67}, {67}},  {{2, 1, 3, 1, 2}, {2, 1, 2, 1}},
    {{5, 3, 8}, {5, 1, 8}},    {{9, 8}, {9, 1}},
};

// Sums of stretched operands' gradients run over all of the result.
int64_t most_terms(const Shapes& shapes) { return std::max(shapes[0].numel(), shapes[1].numel()); }

Row two(const char* name, Tensor (*op)(const Tensor&, const Tensor&),
        std::function<double(double, double)> f, Domain domain = Domain::normal) {
  return {.name = name,
          .op = [op](const Tensors& x) { return op(x[0], x[1]); },
          .cases = kTwo,
          .reference = elementwise(std::move(f)),
          .inputs = {{domain}, {domain}},
          .terms = most_terms};
}

Row one(const char* name, std::function<Tensor(const Tensor&)> op, std::function<double(double)> f,
        Domain domain = Domain::normal) {
  return {.name = name,
          .op = [op = std::move(op)](const Tensors& x) { return op(x[0]); },
          .cases = kOne,
          .reference = elementwise(std::move(f)),
          .inputs = {{domain}}};
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

const Register two_operands({
    two("add", add, [](double a, double b) { return a + b; }),
    two("sub", sub, [](double a, double b) { return a - b; }),
    two("mul", mul, [](double a, double b) { return a * b; }),
    two(
        "div", div, [](double a, double b) { return a / b; }, Domain::away_from_zero),
    two(
        "maximum", maximum, [](double a, double b) { return std::max(a, b); }, Domain::distinct),
    two(
        "minimum", minimum, [](double a, double b) { return std::min(a, b); }, Domain::distinct),
});

const Register numbers({
    one(
        "add number", [](const Tensor& x) { return x + 0.75; }, [](double x) { return x + 0.75; }),
    one(
        "mul number", [](const Tensor& x) { return x * -1.25; },
        [](double x) { return x * -1.25; }),
    one(
        "number minus", [](const Tensor& x) { return 2.0 - x; }, [](double x) { return 2.0 - x; }),
    one(
        "pow 2.5", [](const Tensor& x) { return pow(x, 2.5); },
        [](double x) { return std::pow(x, 2.5); }, Domain::positive),
    one(
        "pow -1.5", [](const Tensor& x) { return pow(x, -1.5); },
        [](double x) { return std::pow(x, -1.5); }, Domain::positive),
    one(
        "pow 3", [](const Tensor& x) { return pow(x, 3); }, [](double x) { return x * x * x; }),
    one(
        "pow 0", [](const Tensor& x) { return pow(x, 0); }, [](double) { return 1.0; }),
    one(
        "clamp", [](const Tensor& x) { return clamp(x, -0.4, 0.3); },
        [](double x) { return std::clamp(x, -0.4, 0.3); }, Domain::distinct),
});

const Register functions({
    one("exp", exp, [](double x) { return std::exp(x); }),
    one(
        "log", log, [](double x) { return std::log(x); }, Domain::positive),
    one(
        "sqrt", sqrt, [](double x) { return std::sqrt(x); }, Domain::positive),
    one(
        "rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, Domain::positive),
    one(
        "reciprocal", reciprocal, [](double x) { return 1 / x; }, Domain::away_from_zero),
    one("square", square, [](double x) { return x * x; }),
    one(
        "abs", abs, [](double x) { return std::abs(x); }, Domain::away_from_zero),
    one(
        "sign", sign, [](double x) { return x > 0 ? 1.0 : -1.0; }, Domain::away_from_zero),
    one("sin", sin, [](double x) { return std::sin(x); }),
    one("cos", cos, [](double x) { return std::cos(x); }),
    one("tanh", tanh, [](double x) { return std::tanh(x); }),
    one("sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }),
    one("erf", erf, [](double x) { return std::erf(x); }),
    one(
        "relu", relu, [](double x) { return std::max(x, 0.0); }, Domain::away_from_zero),
    one(
        "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.2); },
        [](double x) { return x > 0 ? x : 0.2 * x; }, Domain::away_from_zero),
    one(
        "elu", [](const Tensor& x) { return elu(x, 1.5); },
        [](double x) { return x > 0 ? x : 1.5 * (std::exp(x) - 1); }, Domain::away_from_zero),
    one("gelu", gelu, [](double x) { return x * normal_cdf(x); }),
    one("gelu_tanh", gelu_tanh,
        [](double x) {
          return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        }),
    one("silu", silu, [](double x) { return x / (1 + std::exp(-x)); }),
});

}  // namespace
}  // namespace passband::op_table
