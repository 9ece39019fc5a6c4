// What a forward pass runs under: training or evaluation, the random key, the compute type. Thread
// local.
#pragma once
#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace passband {

struct Context {
  bool training = false;
  uint64_t seed = 0;
  // Training step: with the seed and the module path it keys dropout and drop path.
  uint64_t step = 0;
  // Element type of activations; parameters stay f32 (f64 for f64).
  DType compute = DType::f32;
  // The graph holds gates, attention and lambda weights and the deviations of norms constant, so
  // that its derivative is the linear map that this very input goes through (biases aside). The
  // values of the pass are the same. For evaluation, see nn/linearise.h.
  bool linearised = false;
};

const Context& context();

// Installs a context for a scope.
class ContextGuard {
 public:
  explicit ContextGuard(const Context& context);
  ~ContextGuard();
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

 private:
  Context restore_;
};

// Random key of this step for the module that is running (site = its path plus `what`).
RandomKey random_key(std::string_view what);

}  // namespace passband
