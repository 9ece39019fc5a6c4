// Residual networks with names, each a pattern with its settings: ResNet, pre-activation ResNet,
// ResNeXt, LambdaResNet, AlterNet.
#pragma once
#include "models/family.h"
#include "models/network.h"

namespace passband {

ModelFamily preset_family();

}  // namespace passband
