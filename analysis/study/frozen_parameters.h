// Parameters frozen for a scope: they are constants, and graphs lead to activations only.
#pragma once
#include <vector>

#include "nn/parameters.h"

namespace passband {

// Gradients with respect to inner buffers need none of the parameters, whose gradients cost as much
// again.
class FrozenParameters {
 public:
  explicit FrozenParameters(const ParameterStore& store) : parameters_(store.parameters()) {
    for (const ParameterRef& parameter : parameters_) {
      values_.push_back(parameter->value);
      parameter->value = parameter->value.detach();
    }
  }
  ~FrozenParameters() {
    for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i]->value = values_[i];
  }
  FrozenParameters(const FrozenParameters&) = delete;
  FrozenParameters& operator=(const FrozenParameters&) = delete;

 private:
  std::vector<ParameterRef> parameters_;
  std::vector<Tensor> values_;
};

}  // namespace passband
