// One training step on a device: a batch in, updated parameters, and later its loss and accuracy
// out.
#pragma once
#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "data/loader.h"
#include "models/model.h"
#include "nn/mixing.h"
#include "nn/optimizer.h"
#include "nn/sharpness.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/asynchronous.h"
#include "tensor/core/batch_share.h"
#include "train/config.h"
#include "train/gradient_exchange.h"
#include "train/proxy.h"
#include "train/resident_pictures.h"
#include "train/step_report.h"

namespace passband {

// A loss became NaN or infinite (exit code 4). Checkpoints written before stay.
class NonFiniteLoss : public Error {
 public:
  using Error::Error;
};

// How the optimiser of a run works. The average may be null.
OptimizerOptions optimizer_options(const RunSettings& config, const Model& model,
                                   WeightAverage* average);

struct StepResult {
  int64_t step = 0;  // as given to run()
  double loss = 0, lr = 0;
  int64_t correct = 0, images = 0;       // of all processes
  std::vector<StepReport> reports = {};  // of several
};

// Where batches are made of pictures that stay on the device, and how these are cropped.
struct BatchSource {
  ResidentPictures* pictures = nullptr;  // null: batches come with their pictures
  CropOptions crop;
  BatchShare share = {};  // of several processes: the rows of each part of a step that are here
};

// On a GPU the host gives out work and does not wait: batches are made there or go through pinned
// memory, losses and counts come back when they come. With a graph, forward pass, backward pass and
// optimiser (average and bf16 copy included) are recorded once and launched as one from then on.
class TrainingStep {
 public:
  // Everything must outlive the step; parameters and optimiser state are on `device`. With a proxy
  // the network learns from what that one chooses of a batch.
  TrainingStep(const RunSettings& config, Model& model, Optimizer& optimizer, Device device,
               const BatchSource& source = {}, Proxy* proxy = nullptr);

  // Step `step` (from 0) on a batch, which config.grad_accum_steps must divide, at learning rate
  // `lr`. With a source, the batch need not have pictures; without one they may be mixed where they
  // are, and the processor reads them there. `signal`: that asks for a stop, for the other
  // processes to know.
  void run(const Batch& batch, int64_t step, double lr, int signal = 0);
  // After run() threw ProcessLost: weights and buffers are what they were before it.
  void undo();
  // The momentum of the steps from here on; a recording is made when it stays as it is.
  void set_momentum(double momentum);
  // How the bias of a whitened layer learns after `epochs`: at the rate that settings give it,
  // falling; from --whiten-bias-epochs on not at all.
  void settle_whitening(double epochs);
  // Keeps a parameter as it is from here on.
  void freeze(const Parameter& parameter);
  // Shows pictures scaled down to this side from here on (antialiased, bilinear).
  void set_side(int64_t side);
  // The oldest result not yet returned, when it has arrived or `wait` is set. Throws NonFiniteLoss.
  std::optional<StepResult> next_result(bool wait);

 private:
  struct Pending {
    StepResult known;
    Download score;
  };

  void allocate(const Batch& batch);
  void bring_images(const Batch& batch, const Mixing& mixing);
  void scale_images();
  void bring_answers(const Batch& batch, const Mixing& mixing);
  void record_anew();
  void work(uint64_t step);
  // What the network learns from in a step: the batch, or what the proxy chose of it.
  struct Lesson {
    Tensor images, labels, targets;
  };
  Lesson choose_lesson(uint64_t step);
  void add_gradients(const Lesson& lesson, uint64_t step, bool scored);
  WholeGradient listener(bool last);
  void meet_others();
  void meet_others_on_device();
  void bring_own_report();
  // Whether the oldest result is there, or has been waited for.
  bool has_arrived(bool wait);
  Tensor loss_of(const Tensor& logits, const Tensor& labels, const Tensor& targets) const;

  const RunSettings& config_;
  Model& model_;
  Optimizer& optimizer_;
  Device device_;
  BatchSource source_;
  Proxy* proxy_;
  DType compute_;
  bool soft_;  // targets are shares of all classes: mixed, or for the binary loss
  Upload image_upload_, label_upload_;
  std::optional<SharpnessAscent> ascent_;  // SAM's
  // Of steps in which the proxy stays, and of those in which it learns; absent: every step runs as
  // it is.
  std::array<std::unique_ptr<Recording>, 2> recordings_;
  Tensor images_, labels_, targets_;  // of the batch; on a GPU the same memory in every step
  Tensor shown_;                      // the images, scaled where they are to be
  int64_t side_;                      // that the network is shown
  Tensor score_;                      // of the step (tensor/ops/training/score.h)
  std::deque<Pending> pending_;
  std::optional<GradientExchange> exchange_;  // with other processes
  std::vector<StepReport> reports_;           // of the step
  // On a GPU: what all tell of the step (read_table), and seconds and signal of this process.
  Tensor report_table_, own_report_;
  std::optional<Upload> report_upload_;
  Tensor buffers_before_;  // the step
  bool climbed_ = false;
  int signal_ = 0;
  std::chrono::steady_clock::time_point met_{};  // the others, in the step before
  bool steady_ = true;                           // the momentum is the one of the step before
  double momentum_;
};

}  // namespace passband
