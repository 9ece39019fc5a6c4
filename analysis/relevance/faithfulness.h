// What hiding the cells that a map calls relevant does to a network.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/verdict.h"

namespace passband {

// What hiding cells does with each form of map; the last one is a random order.
struct Faithfulness {
  std::vector<std::string> names;
  // curves, mean over pictures: most relevant first, least relevant first
  std::vector<std::vector<double>> most, least;
  std::vector<std::vector<double>> areas;  // of single pictures, most relevant first
};

// How much faster the probability falls by map i than by a random order, picture by picture.
Estimate advantage(const Faithfulness& f, size_t i);

// "Against a random order: class-specific does better, gradient does no better within the error,
// random order beats rollout"
std::string against_chance(const Faithfulness& f);

}  // namespace passband
