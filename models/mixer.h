// MLP-Mixer (Tolstikhin et al. 2021), as timm builds it: an MLP over the tokens in the place of
// attention. Names: "mixer_small", "mixer_base_patch32"; without a patch, tokens of 2 pixels for
// pictures up to kCifarSize and of 16 for larger ones. mixer_tiny is Park and Kim's (2022).
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily mixer_family();

}  // namespace passband
