// Twins-SVT (Chu et al. 2021), as timm builds it: attention within windows and attention of every
// place to a shrunk map by turns, positions by a depthwise convolution after the first block of a
// stage. Pictures up to kCifarSize: tokens of one pixel and windows of 4; larger ones: tokens of 4
// pixels and windows of 7, or the next divisor of the map (fit_window; timm fills up with zeros
// there). At 32 and at 224 pixels a shrunk map is as large as a window in all stages.
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily twins_family();

}  // namespace passband
