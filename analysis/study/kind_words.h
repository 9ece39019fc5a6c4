// The kinds of blocks in words, in the order of sentences about them.
#pragma once
#include <array>
#include <utility>

#include "nn/tap.h"

namespace passband {

// "MSA" blocks, and so on; kinds of no block are left out.
inline constexpr std::array<std::pair<BlockKind, const char*>, 11> kKindWords = {
    {{BlockKind::msa, "MSA"},
     {BlockKind::conv, "convolution"},
     {BlockKind::depthwise, "depthwise convolution"},
     {BlockKind::parallel, "parallel"},
     {BlockKind::pooling, "pooling"},
     {BlockKind::identity, "unmixed"},
     {BlockKind::lambda, "lambda"},
     {BlockKind::hydra, "Hydra"},
     {BlockKind::token_mlp, "token MLP"},
     {BlockKind::mlp, "MLP"},
     {BlockKind::downsample, "downsampling"}}};

}  // namespace passband
