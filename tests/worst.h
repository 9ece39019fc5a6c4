// The largest of many differences, as tests judge it.
#pragma once
#include <algorithm>
#include <cmath>

namespace passband::numeric {

// The larger of the worst difference so far and the next one. What is no number is infinitely far
// off: std::max alone would pass over it, and a result of NaN would pass every bound.
inline double worse(double worst, double difference) {
  return std::isnan(difference) ? INFINITY : std::max(worst, difference);
}

}  // namespace passband::numeric
