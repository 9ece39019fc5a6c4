// One training step on a device: a batch in, updated parameters, and later its loss and accuracy out.
#pragma once
#include <deque>
#include <memory>
#include <optional>

#include "data/loader.h"
#include "models/model.h"
#include "tensor/core/asynchronous.h"
#include "train/config.h"
#include "train/optimizer.h"

namespace passband {

// The loss became NaN or infinite (exit code 4). Checkpoints written before stay.
class NonFiniteLoss : public Error {
 public:
  using Error::Error;
};

struct StepResult {
  int64_t step = 0;  // as given to run()
  double loss = 0, lr = 0;
  int64_t correct = 0, images = 0;
};

// On a GPU the host gives out work and does not wait: batches go through pinned memory, losses and guesses come back
// when they come. With a graph, forward and backward pass are recorded once and launched as one from then on.
class TrainingStep {
 public:
  // Everything must outlive the step; parameters and optimiser state are on `device`.
  TrainingStep(const TrainConfig& config, Model& model, Optimizer& optimizer, std::optional<WeightAverage>& average,
               Device device);

  // Step `step` (from 0) on a batch at learning rate `lr`.
  void run(const Batch& batch, int64_t step, double lr);
  // The oldest result not yet returned, when it has arrived or `wait` is set. Throws NonFiniteLoss.
  std::optional<StepResult> next_result(bool wait);

 private:
  struct Pending {
    StepResult known;
    Download loss, guesses;
    std::vector<int32_t> labels;
  };

  void upload(const Batch& batch, uint64_t step);
  void pass_forward_and_back(uint64_t step);

  const TrainConfig& config_;
  Model& model_;
  Optimizer& optimizer_;
  std::optional<WeightAverage>& average_;
  Device device_;
  DType compute_;
  bool mixes_;
  Upload upload_;
  std::unique_ptr<Recording> recording_;  // absent: every step runs as it is
  Tensor images_, labels_, targets_;      // of the batch; the same memory in every step
  Tensor loss_, guesses_;                 // f32 scalar; (B) i32
  std::deque<Pending> pending_;
};

}  // namespace passband
