// Learning rate over training.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/run_settings.h"

namespace passband {

struct Schedule {
  ScheduleKind kind = ScheduleKind::onecycle;
  double lr = 0.1, min_lr = 0;
  double momentum = 0.9, warmup_momentum = 0.9;
  int64_t warmup_steps = 0, total_steps = 1;
  double warmup_start = 0;               // of lr
  double decay_fraction = 0;             // of the steps
  double final_fraction = 0;             // of lr
  std::vector<int64_t> milestones = {};  // steps
  double decay_rate = 0.1;

  // The rate of step `step` (from 0). Warm-up rises linearly to lr at the end of warmup_steps, from
  // warmup_start lr, or so that the step before its first would have been at 0. Then
  //   onecycle: linear to min_lr (the triangular one-cycle of Smith and Topin, 2018);
  //   cosine:   min_lr + (lr - min_lr) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, ICLR
  //             2017), t in [0, 1);
  //   constant: lr;
  //   multistep: lr times decay_rate for every milestone that has passed, min_lr at least;
  //   linear:    linear to final_fraction lr (airbench94's, Jordan, arXiv 2404.00498);
  //   trapezoid: lr, and over the last decay_fraction of all steps linear to final_fraction lr
  //             (Zhai et al., CVPR 2022; Haegele et al., NeurIPS 2024).
  // Of the last two, min_lr is the least.
  double at(int64_t step) const;
  // The share of lr that step `step` of the warm-up has.
  double warmed(int64_t step) const;
  // The momentum of that step: from warmup_momentum linearly to momentum at the end of the warm-up.
  double momentum_at(int64_t step) const;
};

// The settings that make the learning rate's schedule, all of which a resume may change.
inline constexpr std::array kOfSchedule = {"epochs",          "lr",
                                           "min_lr",          "sched",
                                           "warmup_epochs",   "warmup_start",
                                           "warmup_fraction", "decay_milestones",
                                           "decay_rate",      "decay_fraction",
                                           "final_fraction"};

// The side that training pictures have at `step` of `total` where they grow from `least` to `full`
// (--progressive-resize): as many equal parts of the training as there are sides, 4 pixels apart.
int64_t side_at(int64_t step, int64_t total, int64_t least, int64_t full);
// The mean area of the pictures of steps [0, end) of `total`, as a share of the full one: what
// these steps cost beside others.
double mean_area(int64_t end, int64_t total, int64_t least, int64_t full);

Schedule schedule_of(const RunSettings& settings, int64_t steps_per_epoch);

// One line on what `now` changes of the schedule of `before` for a run that goes on after `step`
// steps; empty where it changes nothing.
std::string change_of_schedule(const RunSettings& before, const RunSettings& now, int64_t step,
                               int64_t steps_per_epoch);

}  // namespace passband
