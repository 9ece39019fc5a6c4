// The optimiser of a run: state over the flat parameter vector, one fused step.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "nn/module.h"
#include "train/config.h"

namespace passband {

// Exponential moving averages of weights and buffers, with the decay of step t limited to (1 + t) /
// (10 + t).
class WeightAverage {
 public:
  WeightAverage(const ParameterStore& store, double decay);
  double decay_at(int64_t step) const;
  Tensor values, buffers;

 private:
  double decay_;
};

class Optimizer {
 public:
  // Keeps `average` too, when there is one. Both must outlive the optimiser.
  Optimizer(const TrainConfig& config, ParameterStore& store,
            std::optional<WeightAverage>& average);

  // One update, in three parts. `begin` counts the step and brings its numbers (learning rate, bias
  // corrections, decay of the average) to the device. `update` is the device's work, always the
  // same, so that it can be recorded: the store's gradients, clipped where the run clips, change
  // values, state, average and bf16 copy. `end` tells the host's side that they have changed, which
  // a launched recording does not.
  void begin(double lr);
  void update();
  void end();
  void step(double lr) { begin(lr), update(), end(); }

  // State by name ("momentum", or "first" and "second"), and the number of steps taken: what a
  // checkpoint holds.
  const std::map<std::string, Tensor>& state() const { return state_; }
  int64_t steps() const { return steps_; }
  // Copies a saved state in. Throws DataError when a name is missing or a size differs.
  void restore(const std::map<std::string, Tensor>& saved, int64_t steps);

 private:
  TrainConfig config_;
  ParameterStore& store_;
  std::optional<WeightAverage>& average_;
  Tensor decay_mask_;
  Tensor rates_;  // of the present step
  std::map<std::string, Tensor> state_;
  int64_t steps_ = 0;
};

}  // namespace passband
