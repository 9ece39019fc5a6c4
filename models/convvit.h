// ConvViT (Park and Kim 2022, after Yang et al. 2019): a vision transformer whose attention sees
// the k x k tokens around each, to ask what locality does. Not d'Ascoli's ConViT. Names:
// "convvit_tiny_kernel3", "convvit_small_patch2_kernel5"; sizes tiny, small, base. An even kernel
// ("kernel8" on the 8 x 8 tokens of a CIFAR picture) covers the whole map: global attention.
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily convvit_family();

}  // namespace passband
