// Axis ranges and ticks: where marks go and how they are labelled.
#pragma once
#include <string>
#include <vector>

#include "analysis/report/figure.h"

namespace passband::plot {

struct Ticks {
  std::vector<double> at = {};
  std::vector<std::string> labels = {};  // same length as `at`
  std::vector<double> minor = {};        // unlabelled (2..9 of each decade on a log axis)
};

struct Range {
  double low = 0, high = 1;
};

// The smallest of {1, 2, 2.5, 5} x 10^k that covers `span` with at most `most` steps (Heckbert's
// nice numbers).
double nice_step(double span, int most);

// At most `most` + 1 labelled ticks inside [low, high], labels with a common number of decimals. A
// linear axis takes multiples of a nice step, a log axis decades (every k-th when there are many).
Ticks make_ticks(const Range& range, Scale scale, int most);

// One tick per category, thinned to every k-th so that at most `most` remain.
Ticks category_ticks(const std::vector<std::string>& categories, int most);

// The axis range for values in [low, high]: what `axis` fixes, else the data with 4 % of air, zero
// included where the axis asks for it, and never empty.
Range axis_range(const Axis& axis, double low, double high);

}  // namespace passband::plot
