// Pace of a training: what its steps and evaluations take on this machine.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace passband {

struct TrainingPace {
  double step_seconds = 0;
  double evaluation_seconds = 0;  // for one picture
  double seconds = 0;             // that the steps took by which it was measured
};

// How many steps end nearest to `seconds`; one at least.
inline int64_t steps_within(double seconds, double step_seconds) {
  return std::max<int64_t>(1, std::llround(seconds / step_seconds));
}

}  // namespace passband
