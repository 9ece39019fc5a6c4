// What the quick recipe reached on CIFAR-10 for so much arithmetic, and so what to expect of a run.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "train/config.h"

namespace passband {

// A training as it was measured: experiments/quick.md, the mean of its seeds.
struct MeasuredTraining {
  const char* model;
  double epochs;
  double pflop;     // 10^15 floating-point operations: see pflop_of
  double accuracy;  // test top-1, in percent
};
const std::vector<MeasuredTraining>& measured_trainings();

// Of training on so many pictures: forward pass and two gradients, two operations for each
// multiply-accumulate.
double pflop_of(double macs, double pictures);

// In percent, linear in log PFLOP between two trainings that were measured. Up to a quarter above
// the longest: its own. Else nothing.
std::optional<double> expected_accuracy(const std::string& model, double pflop);

// Whether the settings are those that were measured, but for what does not bear on accuracy.
bool is_measured_recipe(const RunSettings& settings);

// "609 pictures/s: 5 minutes hold 3.65 epochs, 0.054 PFLOP: about 88 % by experiments/quick.md; 30
// minutes about 92 %": the point of that page that a run is about to repeat. `model`: the network
// where its accuracy is known; else empty, and no accuracy is promised.
struct Prospect {
  std::string model;
  double macs = 0;  // of a picture
  double pictures_per_second = 0;
  double minutes = 0;
  double epochs = 0;
};
std::string describe(const Prospect& prospect);

}  // namespace passband
