// What a rank computes in a step, from the timeline of a training of one process.
#pragma once
#include <string>
#include <vector>

#include "experiments/scale/simulation.h"
#include "train/gradient_buckets.h"

namespace passband::scale {

struct MeasuredStep {
  std::string model, device;
  int64_t batch_size = 0, steps = 0;
  std::vector<GradientRange> parameters;  // in the order of the flat vector
  // Seconds; of each part the middle or the least of all steps. `whole`: by parameter, from the
  // beginning of the backward pass to when its gradient is whole; negative: never.
  double forward = 0, backward = 0, optimiser = 0;
  std::vector<double> whole;
};

// Which of a part's durations stands for it: on a machine that others use, the least is what the
// part itself takes.
enum class Duration : uint8_t { median, least };

// Reads what `train --profile` wrote. Throws DataError naming the file where it is none, or of
// several processes, whose passes send too.
MeasuredStep read_profile(const std::string& path, Duration duration);

// With the buckets of these sizes, the work of a step and the elements of each bucket.
struct BucketedWork {
  StepWork work;
  std::vector<int64_t> elements;
};
BucketedWork in_buckets(const MeasuredStep& step, int64_t first_bytes, int64_t bytes);

}  // namespace passband::scale
