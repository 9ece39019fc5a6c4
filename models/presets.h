// Residual networks with names, each a pattern with its settings: ResNet, pre-activation ResNet,
// ResNeXt, BiT, LambdaResNet, AlterNet.
#pragma once
#include "models/family.h"
#include "models/network.h"

namespace passband {

ModelFamily preset_family();

// What whoever uses the name has to know of it, as a sentence; empty for nearly all.
std::string note_on(const std::string& name);

// The name today of the network that version 0.1.0 knew by `name`.
std::string name_since_0_1(const std::string& name);

}  // namespace passband
