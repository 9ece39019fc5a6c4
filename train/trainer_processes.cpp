// What the trainer does where it is one of several processes.
#include <fmt/format.h>

#include "tensor/core/tensor_sums.h"
#include "train/shared_weights.h"
#include "train/trainer.h"

namespace passband {

void Trainer::write_to(RunWriter writer) {
  directory_ = writer.directory();
  writer_.emplace(std::move(writer));
}

int Trainer::stopped_by(const StopSignals& signals) const {
  return process_count() > 1 ? agreed_signal_ : signals.requested();
}

void Trainer::share_beginning() {
  if (process_count() == 1) return;
  broadcast_vector(model_->store().values());
  model_->store().touch();
  share_buffers();
  if (average_) broadcast_vector(average_->values);
}

void Trainer::share_buffers() {
  if (process_count() == 1) return;
  broadcast_vector(model_->store().buffer_values());
  if (average_) broadcast_vector(average_->buffers);
}

// What a GPU was given goes on without the lost process: nothing of it is to be kept.
ProcessLost Trainer::rescued(const ProcessLost& lost) {
  const std::string run = directory_.string();
  if (device_.is_cuda()) {
    abandon_sums(device_);
    return ProcessLost(
        fmt::format("{}; go on from the last save with: ./train --resume {}", lost.what(), run),
        lost.code());
  }
  std::string where = fmt::format("go on from the last save with: ./train --resume {}", run);
  try {
    step_->undo();
    if (state_.batch == 0) state_.epoch_loss = state_.epoch_correct = 0, state_.epoch_images = 0;
    save();
    if (writer_)
      where = fmt::format("saved at step {}; go on with: ./train --resume {}", state_.step, run);
  } catch (const Error& error) {
    where = fmt::format("not saved ({}); {}", error.what(), where);
  }
  return ProcessLost(fmt::format("{}; {}", lost.what(), where), lost.code());
}

}  // namespace passband
