#include "train/time_budget.h"

#include "train/expectation.h"
#include "train/trainer.h"

namespace passband {

std::optional<TimeBudget> plan_by_time(RunSettings& settings, const Values& given,
                                       const DataSplits& data, const StopSignals& signals,
                                       ProgressLine& progress) {
  const double minutes = settings.minutes;
  Trainer trial(settings, data);
  TimeBudget budget{.seconds = 60 * minutes};
  budget.pace = trial.measure_pace(budget.seconds, signals);
  if (signals.requested_anywhere()) return {};
  const int64_t steps =
      steps_within(budget.seconds - budget.pace.seconds, budget.pace.step_seconds);
  const bool known = is_measured_recipe(settings);
  settings = with_length(settings, steps, trial.steps_per_epoch(), given);
  progress.note(describe(
      {.model = known ? settings.model : "",
       .macs = static_cast<double>(trial.model().macs()),
       .pictures_per_second = static_cast<double>(trial.batch_size()) / budget.pace.step_seconds,
       .minutes = minutes,
       .epochs = settings.epochs}));
  return budget;
}

}  // namespace passband
