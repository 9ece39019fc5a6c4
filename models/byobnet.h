// timm's ResNets with attention or lambda layers in their last stages ("bring your own blocks").
#pragma once
#include "models/family.h"

namespace passband {

// lambda_resnet26t (lambda layers with a local window of 9), lambda_resnet26rpt_256 (with a table
// over the whole map) and botnet26t_256 (BoTNet, Srinivas et al. 2021): bottlenecks of 2, 2, 2, 2
// blocks after a stem of three convolutions; the last block of the third stage and all of the
// fourth mix by attention. Names of tensors, layouts and initial values are timm's. Images up to
// kCifarSize pass the stem without striding or pooling.
ModelFamily byobnet_family();

}  // namespace passband
