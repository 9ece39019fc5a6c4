// Compact convolutional transformer (Hassani et al. 2021): tokens made by convolutions and pooling,
// and a classifier that weighs them. A convolutional stem makes it a hybrid, hence its own name.
// "cct_7_3x1": 7 blocks, one 3x3 convolution; tensors are named as in the authors' code.
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily cct_family();

}  // namespace passband
