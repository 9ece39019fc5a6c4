// Pooling-based vision transformer (Heo et al. 2021), as timm builds it: overlapping patches, and
// between stages a depthwise convolution that halves the map of tokens. Pictures up to kCifarSize:
// patches of 2 pixels with a stride of 1, as Park and Kim (2022) trained it.
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily pit_family();

}  // namespace passband
