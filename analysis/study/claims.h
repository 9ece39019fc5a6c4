// Claims about what networks do, for the head of the report.
#pragma once
#include <functional>
#include <string>

#include "analysis/study/verdict.h"

namespace passband {

// A claim, and the number that decides it: it holds where the number lies on `side` of `reference`
// by more than `floor`.
struct Claim {
  std::string text;   // "Attention blocks damp high frequencies"
  std::string key;    // of the number, in summary.json
  std::string label;  // of the number: "Change of high frequencies by attention blocks"
  Verdict side = Verdict::above;
  double reference = 0, floor = 0;
  std::function<std::string(double)> words;  // of the number
};

// Judges the claim by the number of one network (claim_seen). The number becomes a value of the
// section, or, where the section has it already, gets its interval.
void add_claim(Section& section, const Claim& claim, const std::string& network,
               const Estimate& estimate);

}  // namespace passband
