// The curvature of a loss: Hessian-vector products by differentiating the gradient, and the
// eigenvalues that Lanczos finds with nothing else.
//
// Prints:
//   a Hessian of 19 x 19
//   the sum of its eigenvalues is its trace
//   the sum of their squares is that of its entries
#include <passband/analysis/loss/lanczos.h>
#include <passband/passband.h>

#include <cmath>
#include <cstdio>

using namespace passband;

int main() {
  Generator random(3);
  const Tensor x = Tensor::randn({50, 1}, random.next(), DType::f64), y = sin(x);
  ParameterStore store;
  const Linear hidden(Scope(store) / "hidden", 1, 6), out(Scope(store) / "out", 6, 1);
  store.build(/*seed=*/1, DType::f64);

  std::vector<Tensor> parameters;
  for (const ParameterRef& p : store.parameters()) parameters.push_back(p->value);
  const Tensor loss = mean(square(out(tanh(hidden(x))) - y));
  const std::vector<Tensor> gradient = grad(loss, parameters, {.create_graph = true});

  // H v = d (gradient . v) / d parameters, all parameters as one vector
  const int64_t size = store.parameter_count();
  const auto times = [&](const Tensor& v) {
    const RecordGuard recording(true);  // Lanczos has switched it off
    Tensor product = Tensor::zeros({1}, DType::f64);
    for (size_t i = 0; i < gradient.size(); ++i) {
      const Tensor part = v.view(store.parameters()[i]->offset, gradient[i].shape());
      product = product + sum(gradient[i] * part);
    }
    std::vector<Tensor> flat;
    for (const Tensor& g : grad(product, parameters, {.retain_graph = true, .allow_unused = true}))
      flat.push_back(reshape(g, {g.numel()}));
    return concat(flat, 0);
  };

  double trace = 0, entries = 0, values = 0, squares = 0;
  for (int64_t i = 0; i < size; ++i) {
    std::vector<double> unit(static_cast<size_t>(size));
    unit[static_cast<size_t>(i)] = 1;
    const Tensor column = times(Tensor::from(unit, {size}, DType::f64));
    trace += column.values()[static_cast<size_t>(i)];
    entries += sum(square(column)).item();
  }
  const Tensor start = Tensor::randn({size}, random.next(), DType::f64);
  for (const double value : ritz(lanczos({size, DType::f64, times}, start, size)).values)
    values += value, squares += value * value;

  const auto is = [](double a, double b) { return std::abs(a / b - 1) < 1e-8 ? "is" : "is not"; };
  std::printf("a Hessian of %zu x %zu\n", start.values().size(), start.values().size());
  std::printf("the sum of its eigenvalues %s its trace\n", is(values, trace));
  std::printf("the sum of their squares %s that of its entries\n", is(squares, entries));
}
