// Learning rate over training.
#pragma once
#include <cstdint>
#include <string>

namespace passband {

struct Schedule {
  std::string kind = "onecycle";  // onecycle, cosine, constant
  double lr = 0.1, min_lr = 0;
  int64_t warmup_steps = 0, total_steps = 1;

  // The rate of step `step` (from 0). Warm-up rises linearly to lr at the end of warmup_steps. Then
  //   onecycle: linear to min_lr (the triangular one-cycle of Smith and Topin, 2018);
  //   cosine:   min_lr + (lr - min_lr) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, ICLR
  //             2017), t in [0, 1);
  //   constant: lr.
  double at(int64_t step) const;
};

}  // namespace passband
