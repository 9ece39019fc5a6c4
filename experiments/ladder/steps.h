// The ladders as lists: what each step changes, what it computes, and the library's own operation
// to compare with. ladder.h has the steps themselves.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace ladder {

struct Step {
  std::string name;
  std::string change;  // what is new, in a few words
  double operations;   // arithmetic of the algorithm, exponentials and maxima included
  double tolerance;    // how far a value may be from the operation's
  std::function<std::vector<float>()> run;
};

struct Ladder {
  std::string operation, sizes;
  std::vector<float> expected;  // by the library, on the processor
  std::vector<Step> steps;
};

// Sizes for the table, or smaller ones (for checks that are slow).
Ladder softmax_ladder(bool small);
Ladder matmul_ladder(bool small);
Ladder convolution_ladder(bool small);
Ladder attention_ladder(bool small);
std::vector<Ladder> all_ladders(bool small);

// The largest difference to what is expected; infinite where a value is NaN or one is missing.
double worst_error(const Ladder& ladder, const std::vector<float>& values);

}  // namespace ladder
