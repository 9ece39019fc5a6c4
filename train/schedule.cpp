#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/update_rule.h"
#include "tensor/core/text.h"

namespace passband {

double Schedule::at(int64_t step) const {
  if (step < warmup_steps) return lr * warmed(step);
  if (kind == ScheduleKind::constant) return lr;
  if (kind == ScheduleKind::multistep) {
    const auto passed = std::ranges::count_if(milestones, [&](int64_t at) { return at <= step; });
    return std::max(min_lr, lr * std::pow(decay_rate, static_cast<double>(passed)));
  }
  const bool trapezoid = kind == ScheduleKind::trapezoid;
  const int64_t fall = std::llround(decay_fraction * static_cast<double>(total_steps));
  const int64_t begin = trapezoid ? std::max(warmup_steps, total_steps - fall) : warmup_steps;
  if (step < begin) return lr;
  const double length = static_cast<double>(std::max<int64_t>(1, total_steps - begin));
  const double t = std::min(1.0, static_cast<double>(step - begin) / length);
  const bool cosine = kind == ScheduleKind::cosine;
  const double share = cosine ? (1 + std::cos(std::numbers::pi * t)) / 2 : 1 - t;
  const bool to_fraction = trapezoid || kind == ScheduleKind::linear;
  const double least = to_fraction ? std::max(min_lr, final_fraction * lr) : min_lr;
  return least + (lr - least) * share;
}

double Schedule::warmed(int64_t step) const {
  const auto steps = static_cast<double>(warmup_steps);
  if (warmup_start == 0) return static_cast<double>(step + 1) / steps;
  return warmup_start + (1 - warmup_start) * static_cast<double>(step) / steps;
}

double Schedule::momentum_at(int64_t step) const {
  if (step >= warmup_steps) return momentum;
  const double t = static_cast<double>(step) / static_cast<double>(warmup_steps);
  return warmup_momentum + (momentum - warmup_momentum) * t;
}

int64_t side_at(int64_t step, int64_t total, int64_t least, int64_t full) {
  constexpr int64_t kApart = 4;
  if (least <= 0 || least >= full) return full;
  const int64_t sides = (full - least + kApart - 1) / kApart + 1;
  const int64_t part = std::min(step * sides / std::max<int64_t>(1, total), sides - 1);
  return std::max(least, full - (sides - 1 - part) * kApart);
}

double mean_area(int64_t end, int64_t total, int64_t least, int64_t full) {
  double sum = 0;
  for (int64_t step = 0; step < end; ++step) {
    const auto side = static_cast<double>(side_at(step, total, least, full));
    sum += side * side;
  }
  return sum / static_cast<double>(std::max<int64_t>(1, end) * full * full);
}

Schedule schedule_of(const RunSettings& settings, int64_t steps_per_epoch) {
  std::vector<int64_t> milestones;
  if (settings.sched == ScheduleKind::multistep)
    for (const double epochs : milestones_of(settings))
      milestones.push_back(std::llround(epochs * static_cast<double>(steps_per_epoch)));
  return {
      .kind = settings.sched,
      .lr = peak_rate(settings),
      .min_lr = settings.min_lr * rate_factor(settings),
      .momentum = settings.momentum,
      .warmup_momentum =
          settings.warmup_momentum > 0 ? settings.warmup_momentum : settings.momentum,
      .warmup_steps = std::llround(settings.warmup_epochs * static_cast<double>(steps_per_epoch)),
      .total_steps = std::max<int64_t>(
          1, std::llround(settings.epochs * static_cast<double>(steps_per_epoch))),
      .warmup_start = settings.warmup_start,
      .decay_fraction = settings.decay_fraction,
      .final_fraction = settings.final_fraction,
      .milestones = milestones,
      .decay_rate = settings.decay_rate};
}

std::string change_of_schedule(const RunSettings& before, const RunSettings& now, int64_t step,
                               int64_t steps_per_epoch) {
  std::vector<std::string> changes;
  for (const Setting& s : settings()) {
    const std::string key = s.key, was = value_text(before, s), is = value_text(now, s);
    if (std::ranges::count(kOfSchedule, key) > 0 && was != is)
      changes.push_back(fmt::format("{} {} -> {}", key, was, is));
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
