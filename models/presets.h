// Residual networks with names, each a pattern with its settings: ResNet, pre-activation ResNet,
// ResNeXt, BiT, LambdaResNet, AlterNet.
#pragma once
#include "models/family.h"
#include "models/network.h"

namespace passband {

ModelFamily preset_family();

// What whoever uses the name has to know of it, as a sentence; empty for nearly all.
std::string note_on(const std::string& name);

}  // namespace passband
