// A budget of training time, and the plain epochs that a run puts in its place.
#pragma once
#include <optional>

#include "data/dataset.h"
#include "train/config.h"
#include "train/progress_line.h"
#include "train/signals.h"
#include "train/training_pace.h"

namespace passband {

struct TimeBudget {
  double seconds = 0;  // of training, with what measuring the pace took
  TrainingPace pace;
};

// Learns the pace of the run that `settings` describe in a few steps that are thrown away, puts the
// epochs that fit into settings.minutes in their place, and says what to expect. `given`: the
// command line. Nothing where a signal came first.
std::optional<TimeBudget> plan_by_time(RunSettings& settings, const Values& given,
                                       const DataSplits& data, const StopSignals& signals,
                                       ProgressLine& progress);

}  // namespace passband
