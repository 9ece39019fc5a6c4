// The curves of a training, as its run logged them (metrics.jsonl).
#pragma once
#include <string>
#include <vector>

#include "models/run.h"

namespace passband {

struct TrainingCurves {
  // Means over stretches of steps, each placed at its last step, in epochs.
  std::vector<double> epochs, losses, accuracies;
  // Evaluations: where, their loss and their top-1 accuracy, a share.
  std::vector<double> judged_epochs, judged_losses, judged_accuracies;
  std::string judged = "test";  // on which pictures
  int64_t steps = 0;            // that were logged
  int64_t left_out = 0;         // of these, whose loss was not finite
};

// At most `points` stretches. A run that was stopped, goes on or has just begun has what it has
// logged; a last line that a crash has cut is passed over. Throws DataError for a file that is not
// what was written.
TrainingCurves training_curves(const RunDescription& run, int64_t points = 200);
TrainingCurves training_curves_from(const std::string& text, double steps_per_epoch,
                                    int64_t points);

// By its pictures and the size of its batches.
double steps_per_epoch(const RunDescription& run);

}  // namespace passband
