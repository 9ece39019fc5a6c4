// Fits sin(x): random tensors, layers, a loss, its gradient, a step.
//
// Prints:
//   the mean squared error is below 0.001
//   sin(-pi/2) is about -1.0
//   sin( pi/6) is about  0.5
//   sin( pi/2) is about  1.0
#include <passband/passband.h>

#include <cstdio>
#include <numbers>

using namespace passband;

// A network is a struct. Its layers register their parameters, by name, with a store.
struct Network {
  ParameterStore store;
  Linear hidden, out;

  Network() : hidden(Scope(store) / "hidden", 1, 64), out(Scope(store) / "out", 64, 1) {
    store.build(/*seed=*/1);
  }
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
};

int main() {
  Generator random(42);
  const double pi = std::numbers::pi;
  const Tensor x = Tensor::uniform({256, 1}, -pi, pi, random.next());
  const Tensor y = sin(x);

  Network network;
  Optimizer optimizer(network.store, Adamw{.lr = 0.01});
  Tensor loss;
  for (int step = 0; step < 1000; ++step) {
    loss = mean(square(network(x) - y));
    backward(loss);
    optimizer.step();
  }
  std::printf("the mean squared error is %s 0.001\n", loss.item() < 1e-3 ? "below" : "above");

  const Tensor fitted = network(Tensor::from({-pi / 2, pi / 6, pi / 2}, {3, 1}));
  const char* angles[] = {"-pi/2", " pi/6", " pi/2"};
  for (size_t i = 0; i < 3; ++i)
    std::printf("sin(%s) is about %4.1f\n", angles[i], fitted.values()[i]);
}
