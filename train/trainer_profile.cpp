// What a trainer does for a profile of its steps.
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"
#include "tensor/device_choice.h"
#include "train/doctor.h"
#include "train/trainer.h"

namespace passband {

void Trainer::record_profile(int64_t steps) {
  profile_ = std::make_unique<StepProfile>(
      directory_ / "profile.json", steps,
      ProfiledRun{.model = config_.model,
                  .device = device_.is_cuda() ? describe_device(device_) + ", times of its host"
                                              : processor_name(),
                  .batch_size = batch_size_,
                  .threads = thread_count()},
      model_->store());
}

const Batch& Trainer::next_batch() {
  const SpanTimer waiting(Activity::batch_wait);
  return loader_->next();
}

}  // namespace passband
