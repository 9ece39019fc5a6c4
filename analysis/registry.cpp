// The table of analyses.
#include "analysis/analysis.h"

namespace passband {

const std::vector<Analysis>& analyses() {
  static const std::vector<Analysis> table = {
      {"cka", "Which layers represent the pictures alike?",
       "n forward passes, then n^2 p per layer of p features in batches of 256; memory 256^2 L doubles", cka_section},
      {"fourier", "Is a block a high-pass or a low-pass filter?", "n forward passes and FFTs; memory H W per layer",
       fourier_section},
      {"variance", "Where are feature maps spread, where smoothed?", "n forward passes; constant memory",
       variance_section},
      {"distance", "How far do attention heads look?", "n forward passes with attention made real, T^2 per head",
       distance_section},
      {"rollout", "Which parts of a picture does attention carry to the decision?", "8 pictures, T^2 per layer",
       rollout_section},
      {"calibration", "Is the confidence honest?", "n forward passes; constant memory", calibration_section},
      {"confusion", "Which classes are taken for which?", "n forward passes; memory K^2", confusion_section},
  };
  return table;
}

}  // namespace passband
