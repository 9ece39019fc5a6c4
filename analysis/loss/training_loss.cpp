#include "analysis/loss/training_loss.h"

#include <algorithm>

#include "analysis/study/training_pictures.h"
#include "data/loader.h"
#include "models/update_rule.h"

namespace passband {

LossTerms loss_terms(const AnalysisInput& input, const LossOptions& options,
                     const Subject& subject) {
  const RunDescription* run = training_run(input, subject);
  LossTerms terms;
  if (run) {
    terms.smoothing = run->settings.smoothing;
    terms.decay = loss_decay(run->settings);
    terms.decay_all = run->settings.decay_all;
  }
  if (options.decay) terms.decay = *options.decay;
  terms.rule = options.decay_rule;
  return terms;
}

LossBatches loss_batches(const AnalysisInput& input, const Subject& subject, int64_t count,
                         int64_t batch_size, bool augmented, uint64_t seed) {
  LossBatches result{.data = input.train ? &training_pictures(input, subject) : input.data,
                     .batch_size = batch_size,
                     .image_size = subject.model->options().image_size,
                     .device = subject.model->device(),
                     .augmented = augmented,
                     .key = {seed, 0, site_of("loss.augment")}};
  result.indices = epoch_order(result.data->count, seed, 0);
  result.indices.resize(static_cast<size_t>(std::min(count, result.data->count)));
  result.augment.resized_crop = result.data->height > result.image_size;
  if (const RunDescription* run = training_run(input, subject)) {
    const RunSettings& settings = run->settings;
    result.augment = augment_options(settings, result.data->height, result.image_size);
    result.augment.repeats = 1;
    result.mixing = {settings.mixup, settings.cutmix, settings.mixup_prob,
                     settings.mixup_switch_prob};
    result.smoothing = settings.smoothing;
  }
  return result;
}

}  // namespace passband
