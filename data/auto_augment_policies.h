// The tables of AutoAugment and RandAugment: timm's sets of operations and its policies.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/auto_augment.h"

namespace passband {

// Operations and how often each is drawn, relative to the others.
using OperationSet = std::vector<std::pair<PictureOperation, double>>;
// "": RandAugment's 15, all alike; "weights", "3a", "3aw"; "w0": the weights of older versions of
// timm. Nothing for another name.
std::optional<OperationSet> rand_augment_set(const std::string& name, bool increasing);

// What AugMix's chains are made of.
const std::vector<PictureOperation>& augmix_operations();

// "original", "v0", ...; null for another name.
const AugmentationPolicy* augmentation_policy(const std::string& name);
std::vector<std::string> policy_names();

}  // namespace passband
