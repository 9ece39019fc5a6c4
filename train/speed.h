// How fast a network computes on this machine, by a few steps.
#pragma once
#include "models/run_settings.h"

namespace passband {

// Pictures a second over single steps: the median, the slowest and the fastest.
struct Rate {
  double median = 0, slowest = 0, fastest = 0;
  int64_t steps = 0;
};

struct Speed {
  Rate training, inference;
};

// Lets the settings' model train on one batch of noise of `classes` classes, and classify it, each
// for a step that does not count and then for some that do: until a second is over, at least 3 and
// at most 50 of them. Type, optimiser, batch, threads and device are those that the settings give a
// run; no pictures are read.
Speed measure_speed(const RunSettings& settings, int64_t classes, int64_t image_size);

}  // namespace passband
