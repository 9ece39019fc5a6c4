// The test of a map of relevance: hide what it calls important and see whether the network falters.
#pragma once
#include <vector>

#include "analysis/relevance/rollout.h"

namespace passband {

// Probability of each picture's class when 0, 10, ... 90 % of the cells of its map are hidden
// (set to the data's mean colour, 0 after normalisation), most relevant first (or, ascending, least
// relevant first): the perturbation test of Chefer et al. (CVPR 2021). Equal cells in row-major
// order. Time: ten forward passes per picture. Memory: one batch.
// [picture][step]
std::vector<std::vector<double>> perturbation_curves(const Model& model, const Tensor& images,
                                                     const std::vector<int64_t>& classes,
                                                     const RelevanceMaps& maps,
                                                     bool most_relevant_first);
// Their mean over the pictures.
std::vector<double> perturbation_curve(const Model& model, const Tensor& images,
                                       const std::vector<int64_t>& classes,
                                       const RelevanceMaps& maps, bool most_relevant_first);

inline constexpr int kPerturbationSteps = 10;

}  // namespace passband
