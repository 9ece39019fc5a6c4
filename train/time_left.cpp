#include "train/time_left.h"

#include <cmath>

namespace passband {

void TimeLeft::trained(double pictures, double seconds) {
  constexpr double kMemory = 60;  // seconds after which a step counts e times less
  const double kept = std::exp(-seconds / kMemory);
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
