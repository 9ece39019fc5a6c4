// The largest of many differences, as tests judge it.
#pragma once
#include <algorithm>
#include <cmath>

namespace passband::numeric {

// The larger of the worst difference so far and the next one. A NaN counts as infinitely far off:
// std::max alone would pass over it, and a result of NaN would pass every bound.
inline double worse(double worst, double difference) {
  return std::isnan(difference) ? INFINITY : std::max(worst, difference);
}

}  // namespace passband::numeric
