// The pattern language: "CCC.CCCM.CCCCCM.CMCM", one letter a block, one word a stage, with options
// as in "CC.CM.CM.CM:width=32,window=8".
#pragma once
#include <string>
#include <vector>

#include "models/family.h"
#include "models/network.h"

namespace passband {

// The words of a pattern. Throws UsageError naming the pattern and what is wrong with it.
std::vector<std::string> split_pattern(const std::string& pattern);

// Patterns of at most eight blocks have basic blocks (ResNet-18's size), longer ones bottlenecks. M
// blocks need, and so choose, a pre-activation trunk; without them the trunk is post-activation,
// and with L blocks the last norms of its branches start at 0. Options: basic, bottleneck, preact,
// postact; rs (the ResNet-RS trunk); width and heads (of the first stage, doubled from stage to
// stage); stride (of the first stage); head_dim, window, scope (the window of lambda layers, 0 =
// global).
ModelFamily pattern_family();

}  // namespace passband
