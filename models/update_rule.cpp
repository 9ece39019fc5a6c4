#include "models/update_rule.h"

#include <algorithm>
#include <cmath>

namespace passband {
namespace {

bool steps_by_adamw(const RunSettings& s) {
  const BaseOptimizerKind base = s.opt == OptimizerKind::muon ? s.muon_rest : s.sam_base;
  const bool has_base = s.opt == OptimizerKind::sam || s.opt == OptimizerKind::muon;
  if (s.opt == OptimizerKind::lamb) return true;
  return has_base ? base == BaseOptimizerKind::adamw : s.opt == OptimizerKind::adamw;
}

bool is_nesterov(const RunSettings& s) {
  return s.opt != OptimizerKind::momentum && s.opt != OptimizerKind::lars;
}

// Weight decay as the rules take it, multiplied by the learning rate of the step.
double decay_of_rate(const RunSettings& s) {
  if (s.lr_per == 0) return s.weight_decay;
  return s.lr > 0 ? s.weight_decay / s.lr : 0;
}

}  // namespace

UpdateRule update_rule(const RunSettings& s) {
  const double lr = peak_rate(s), decay = decay_of_rate(s);
  // LAMB's eps is that of its authors.
  const double eps = s.opt == OptimizerKind::lamb ? 1e-6 : 1e-8;
  if (steps_by_adamw(s)) return Adamw{.lr = lr, .eps = eps, .weight_decay = decay};
  return Sgd{.lr = lr, .momentum = s.momentum, .weight_decay = decay, .nesterov = is_nesterov(s)};
}

int64_t learned_of(const RunSettings& s, int64_t pictures) {
  return std::max<int64_t>(1, std::llround(s.select_hard * static_cast<double>(pictures)));
}

int64_t learned_pictures(const RunSettings& s) {
  return learned_of(s, s.batch_size * s.grad_accum_steps * s.processes);
}

double rate_factor(const RunSettings& s) {
  if (s.lr_per == 0) return 1;
  const double pictures = static_cast<double>(learned_pictures(s)) / s.lr_per;
  if (steps_by_adamw(s)) return pictures;
  return pictures / ((is_nesterov(s) ? 1 : 0) + 1 / (1 - s.momentum));
}

double peak_rate(const RunSettings& s) { return s.lr * rate_factor(s); }

double loss_decay(const RunSettings& s) {
  return steps_by_adamw(s) || s.opt == OptimizerKind::muon ? 0 : decay_of_rate(s);
}

}  // namespace passband
