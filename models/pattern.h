// The pattern language: "CCC.CCCM.CCCCCM.CMCM", one letter a block, one word a stage, with options
// as in "CC.CM.CM.CM:width=32,window=8".
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "models/family.h"
#include "models/network.h"

namespace passband {

// What a letter builds: a residual block whose places are mixed so.
struct Letter {
  char letter;
  BlockKind kind;
  const char* what;
};

const std::vector<Letter>& letters();
BlockKind kind_of(char letter);
// The letters of a kind of mixing are in the pattern.
bool has_letter(const std::string& pattern, std::string_view any_of);

// The words of a pattern. Throws UsageError naming the pattern and what is wrong with it.
std::vector<std::string> split_pattern(const std::string& pattern);

// Patterns of at most eight blocks have basic blocks (ResNet-18's size), longer ones bottlenecks. M
// blocks need, and so choose, a pre-activation trunk; without them the trunk is post-activation,
// and with L blocks the last norms of its branches start at 0. In either trunk the other letters
// stand in the place of the 3x3 (the second one of a basic block).
// Options: basic, bottleneck, preact, postact; rs (the ResNet-RS trunk), bit (BiT's); pooled (basic
// blocks halve their map by pools); stem (channels that it makes); width and heads (of the first
// stage, doubled from stage to stage); stride (of the first block of every stage); head_dim,
// window, shift (of S); kernel (of D and U); pool (of P); k, h, u, r (of L; r, also called scope,
// is the side of the local window, 0 = global).
ModelFamily pattern_family();

}  // namespace passband
