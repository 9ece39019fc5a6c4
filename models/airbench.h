// The networks of the CIFAR-10 speed records (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single
// GPU", 2024, arXiv 2404.00498; code: KellerJordan/cifar10-airbench): airbench93 to airbench96;
// airbench_small, the proxy of airbench96_faster; airbench_32_64_64 and airbench_32_64_64_residual
// with widths of one's own. Tensors are named as in airbench94_muon. To train like the records they
// want their first layer whitened (models/whitening.h).
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily airbench_family();

}  // namespace passband
