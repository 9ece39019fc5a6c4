// The optimiser of a run: state over the flat parameter vector, one fused step.
#pragma once
#include <map>
#include <string>

#include "nn/module.h"
#include "train/config.h"

namespace passband {

class Optimizer {
 public:
  Optimizer(const TrainConfig& config, ParameterStore& store);

  // One update with the store's gradients, clipped where the run clips, at learning rate `lr`.
  void step(double lr);

  // State by name ("momentum", or "first" and "second"), and the number of steps taken: what a checkpoint holds.
  const std::map<std::string, Tensor>& state() const { return state_; }
  int64_t steps() const { return steps_; }
  // Copies a saved state in. Throws DataError when a name is missing or a size differs.
  void restore(const std::map<std::string, Tensor>& saved, int64_t steps);

 private:
  TrainConfig config_;
  ParameterStore& store_;
  Tensor decay_mask_;
  std::map<std::string, Tensor> state_;
  int64_t steps_ = 0;
};

// Exponential moving averages of weights and buffers, with the decay of step t limited to (1 + t) / (10 + t).
class WeightAverage {
 public:
  WeightAverage(const ParameterStore& store, double decay);
  void update(const ParameterStore& store, int64_t step);
  Tensor values, buffers;

 private:
  double decay_;
};

}  // namespace passband
