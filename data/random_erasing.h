// Random erasing of normalised training pictures (Zhong et al., AAAI 2020).
#pragma once
#include "data/augment.h"

namespace passband {

// Of picture `index`, (size, size, 3) floats, by the erase_ members of the options: nothing at
// probability 0.
void erase_randomly(float* picture, int64_t size, const AugmentOptions& options, RandomKey key,
                    int64_t index);

}  // namespace passband
