// What the settings of a run make of its optimiser: rule, rates, weight decay.
#pragma once
#include "models/run_settings.h"
#include "nn/optimizer.h"

namespace passband {

// The optimiser of a run; of SAM, its base; of Muon, that of the rest.
UpdateRule update_rule(const RunSettings& settings);
// Pictures that are learned from of so many: those that `select_hard` leaves; and of a step.
int64_t learned_of(const RunSettings& settings, int64_t pictures);
int64_t learned_pictures(const RunSettings& settings);
// The learning rate of a step at the peak, and what `min_lr` is multiplied by to be one. With
// `lr_per`, both are given as Jordan's airbench94 gives them (arXiv 2404.00498), for the summed
// loss of so many pictures and free of momentum: a step's rate on the mean loss of B pictures is lr
// B / lr_per, over 1 + 1 / (1 - momentum) for Nesterov's, 1 / (1 - momentum) for plain momentum and
// 1 for AdamW.
double peak_rate(const RunSettings& settings);
double rate_factor(const RunSettings& settings);
// Weight decay as part of the loss. AdamW's, alone or as SAM's base, is none: it shrinks weights
// beside the step. Nor is Muon's, which takes no gradient as it is.
double loss_decay(const RunSettings& settings);

}  // namespace passband
