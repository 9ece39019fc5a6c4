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
