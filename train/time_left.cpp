#include "train/time_left.h"

#include <algorithm>
#include <cmath>

namespace passband {

void TimeLeft::trained(double pictures, double seconds) {
  // After so many seconds, but not before so many steps, a step counts e times less.
  constexpr double kSeconds = 60, kSteps = 20;
  const double kept = std::exp(-std::min(seconds / kSeconds, 1 / kSteps));
  pictures_ = kept * pictures_ + pictures;
  seconds_ = kept * seconds_ + seconds;
}

void TimeLeft::evaluated(double pictures, double seconds) {
  if (pictures > 0) per_evaluated_ = seconds / pictures;
}

double TimeLeft::seconds(double to_train, double to_evaluate) const {
  const double per_trained = pictures_ > 0 ? seconds_ / pictures_ : 0;
  const double per_evaluated = per_evaluated_ < 0 ? per_trained / 3 : per_evaluated_;
  return to_train * per_trained + to_evaluate * per_evaluated;
}

}  // namespace passband
