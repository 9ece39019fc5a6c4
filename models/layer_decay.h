// Layer decay: learning rates that fall with the distance from the classifier, by the names of
// parameters.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "nn/parameters.h"

namespace passband {

// The layer of each parameter, from 0: the stem, then one layer a block (with what leads into its
// stage or into the classifier), and last the classifier and whatever has no place before it. As
// timm groups parameters, where it has rules of their own for a network.
std::vector<int64_t> layers_of(const std::vector<std::string>& parameters);

// What multiplies the learning rate of each parameter: decay^(last layer - its layer), as timm's
// param_groups_layer_decay (Clark et al., ICLR 2020; Bao et al., ICLR 2022).
std::vector<double> layer_scales(const std::vector<std::string>& parameters, double decay);
std::vector<double> layer_scales(const ParameterStore& store, double decay);

}  // namespace passband
