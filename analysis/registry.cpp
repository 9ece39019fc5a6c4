// The table of analyses, in the order of the report: one group of rows for each part of it.
#include <algorithm>
#include <iterator>

#include "analysis/analysis.h"

namespace passband {
namespace {

using Rows = std::vector<Analysis>;

Rows similarity_rows() {
  return {
      {.name = "cka",
       .question = "Which layers represent the pictures alike?",
       .cost = "n forward passes, then n^2 p per layer of p features in batches of 256; memory 256^2 L doubles",
       .work = 1500,
       .run = cka_section},
  };
}

Rows frequency_rows() {
  return {
      {.name = "fourier",
       .question = "Is a block a high-pass or a low-pass filter?",
       .cost = "n forward passes and FFTs; memory H W per layer",
       .work = 1500,
       .run = fourier_section},
      {.name = "variance",
       .question = "Where are feature maps spread, where smoothed?",
       .cost = "n forward passes; constant memory",
       .work = 1000,
       .run = variance_section},
  };
}

Rows reach_rows() {
  return {
      {.name = "distance",
       .question = "How far do attention heads look?",
       .cost = "n forward passes with attention made real, T^2 per head",
       .work = 500,
       .run = distance_section},
  };
}

Rows rollout_rows() {
  return {
      {.name = "rollout",
       .question = "Which parts of a picture does attention carry to the decision?",
       .cost = "8 pictures, T^2 per layer",
       .work = 50,
       .run = rollout_section},
  };
}

Rows calibration_rows() {
  return {
      {.name = "calibration",
       .question = "Is the confidence honest?",
       .cost = "n forward passes; constant memory",
       .work = 10000,
       .run = calibration_section},
      {.name = "confusion",
       .question = "Which classes are taken for which?",
       .cost = "n forward passes; memory K^2",
       .work = 10000,
       .run = confusion_section},
  };
}

}  // namespace

const std::vector<Analysis>& analyses() {
  static const std::vector<Analysis> table = [] {
    Rows all;
    for (const auto rows : {similarity_rows, frequency_rows, reach_rows, rollout_rows, calibration_rows})
      std::ranges::move(rows(), std::back_inserter(all));
    return all;
  }();
  return table;
}

}  // namespace passband
