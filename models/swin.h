// Swin transformer (Liu et al. 2021), as timm builds it: attention in windows that shift from block
// to block, maps halved from stage to stage. Pictures up to kCifarSize: tokens of one pixel and
// windows of 4, as Park and Kim (2022) trained it; larger ones: tokens of 4 pixels and windows of
// 7, or the next divisor of the map (fit_window).
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily swin_family();

}  // namespace passband
