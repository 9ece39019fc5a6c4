#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace passband {

double Schedule::at(int64_t step) const {
  if (step < warmup_steps)
    return lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (kind == "constant") return lr;
  const double length = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  const double t = std::min(1.0, static_cast<double>(step - warmup_steps) / length);
  const double share = kind == "cosine" ? (1 + std::cos(std::numbers::pi * t)) / 2 : 1 - t;
  return min_lr + (lr - min_lr) * share;
}

}  // namespace passband
