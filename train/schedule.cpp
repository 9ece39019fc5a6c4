#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/core/text.h"

namespace passband {

double Schedule::at(int64_t step) const {
  if (step < warmup_steps)
    return lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (kind == ScheduleKind::constant) return lr;
  if (kind == ScheduleKind::multistep) {
    const auto passed = std::ranges::count_if(milestones, [&](int64_t at) { return at <= step; });
    return std::max(min_lr, lr * std::pow(decay_rate, static_cast<double>(passed)));
  }
  const double length = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  const double t = std::min(1.0, static_cast<double>(step - warmup_steps) / length);
  const bool cosine = kind == ScheduleKind::cosine;
  const double share = cosine ? (1 + std::cos(std::numbers::pi * t)) / 2 : 1 - t;
  return min_lr + (lr - min_lr) * share;
}

double Schedule::momentum_at(int64_t step) const {
  if (step >= warmup_steps) return momentum;
  const double t = static_cast<double>(step) / static_cast<double>(warmup_steps);
  return warmup_momentum + (momentum - warmup_momentum) * t;
}

Schedule schedule_of(const RunSettings& settings, int64_t steps_per_epoch) {
  std::vector<int64_t> milestones;
  if (settings.sched == ScheduleKind::multistep)
    for (const double epochs : milestones_of(settings))
      milestones.push_back(std::llround(epochs * static_cast<double>(steps_per_epoch)));
  return {
      .kind = settings.sched,
      .lr = settings.lr,
      .min_lr = settings.min_lr,
      .momentum = settings.momentum,
      .warmup_momentum =
          settings.warmup_momentum > 0 ? settings.warmup_momentum : settings.momentum,
      .warmup_steps = std::llround(settings.warmup_epochs * static_cast<double>(steps_per_epoch)),
      .total_steps = std::max<int64_t>(
          1, std::llround(settings.epochs * static_cast<double>(steps_per_epoch))),
      .milestones = milestones,
      .decay_rate = settings.decay_rate};
}

std::string change_of_schedule(const RunSettings& before, const RunSettings& now, int64_t step,
                               int64_t steps_per_epoch) {
  std::vector<std::string> changes;
  for (const Setting& s : settings()) {
    const std::string key = s.key, was = value_text(before, s), is = value_text(now, s);
    const bool counts = key == "epochs" || key == "lr" || key == "min_lr" || key == "sched" ||
                        key == "warmup_epochs" || key == "decay_milestones" || key == "decay_rate";
    if (counts && was != is) changes.push_back(fmt::format("{} {} -> {}", key, was, is));
  }
  if (changes.empty()) return {};
  const double planned = schedule_of(before, steps_per_epoch).at(step);
  const Schedule schedule = schedule_of(now, steps_per_epoch);
  return fmt::format(
      "{}: from step {} on, of {}, the learning rate follows the changed schedule, from {:.3g} "
      "(before: {:.3g})",
      join(changes), step + 1, schedule.total_steps, schedule.at(step), planned);
}

}  // namespace passband
