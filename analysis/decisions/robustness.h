// Accuracy on corrupted pictures: each kind at each severity.
#pragma once
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <vector>

#include "analysis/study/progress.h"
#include "analysis/study/subject.h"
#include "data/corruptions.h"

namespace passband {

// Right answers of one network. NaN where a kind was not measured.
struct CorruptionScores {
  double clean = NAN;
  // Of every picture: the share right over the group's measured kinds and severities, extra ones
  // included; empty for a group without any. By CorruptionGroup.
  std::array<std::vector<double>, 4> pictures;
  std::array<std::array<double, kSeverities>, kCorruptions> accuracy;

  CorruptionScores();
  double mean(Corruption kind) const;  // over severities
  // Over the 15 common kinds that were measured, all severities: mean corruption accuracy.
  double mean_common() const;
  // over the group's measured kinds, extra ones included
  double mean(CorruptionGroup group, int severity) const;
};

struct CorruptionOptions {
  int64_t images = 200;
  int64_t batch_size = 100;
  uint64_t seed = 1;
  bool extra = true;                       // the four kinds beyond the common 15
  const CorruptionFiles* files = nullptr;  // pictures from there instead of made here
  Progress progress;
};

// One row for each network. Every network sees the same pictures. Time: 5 forward passes a picture
// and kind; memory: four numbers a picture and network. Throws DataError when the files' pictures
// or labels do not fit the data set.
std::vector<CorruptionScores> measure_corruptions(const std::vector<Subject>& subjects,
                                                  const Dataset& data,
                                                  const CorruptionOptions& options);

}  // namespace passband
