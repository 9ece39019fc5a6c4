// Whitening of a network's first layer: filters from the principal directions of the training
// pictures' patches, as in the CIFAR-10 speed records (Page, "How to Train Your ResNet 8", 2019;
// tysam-code/hlb-CIFAR10; Jordan 2024, arXiv 2404.00498, section 3.2).
#pragma once
#include <vector>

#include "data/dataset.h"
#include "models/model.h"

namespace passband {

// The layer that pictures enter by: the first parameter that is a convolution of three channels.
// Throws UsageError where there is none.
ParameterRef first_convolution(const Model& model);
// Its bias; null without.
ParameterRef bias_of_first_convolution(const Model& model);

// Mean products of the values of patches of `kernel` x `kernel` pixels, about zero: (n, n) with
// n = 3 kernel^2, from up to 5,000 training pictures as an evaluation sees them at `image_size`,
// drawn by `seed`. Of large patches and pictures a regular grid of places is taken.
std::vector<double> patch_covariance(const Dataset& train, int64_t kernel, int64_t image_size,
                                     uint64_t seed);

// Gives the first convolution the filters v_i / sqrt(eigenvalue_i + 5e-4), largest eigenvalue
// first, then their negatives, as far as its output channels reach; channels beyond are filters of
// random directions in that whitened space. Its outputs then have covariance 1 and, within the
// first 3 kernel^2, none with each other. A bias becomes 0. To keep it so is left to who trains.
void whiten_first_convolution(Model& model, const Dataset& train, uint64_t seed);

}  // namespace passband
