// The 1000 classes of ImageNet (ILSVRC 2012) by index, WordNet id and name; and pictures of some
// classes, numbered as a network of more of them does.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace passband {

constexpr int64_t kImagenetClasses = 1000;

// Names by index: the first of each class's synonyms in WordNet, all different ("crane bird" is
// 134, "crane", the machine, 517).
const std::vector<std::string>& imagenet_class_names();

// The index of the class that has this WordNet id ("n01440764"), this name, or, where no other
// class shares it, this synonym ("Tinca tinca"). Letter case counts only between "Cardigan", a dog,
// and "cardigan"; '_' and '-' stand for spaces. Nothing for any other name.
std::optional<int32_t> imagenet_class(const std::string& name);

// The WordNet id of a class: "n01440764" of 0.
std::string wordnet_id(int64_t imagenet_class);

// The place of each of `names` among the classes `known`: of the one of the same name, or else of
// the same class of ImageNet by WordNet id or name. -1: it is not among them.
std::vector<int32_t> labels_among(const std::vector<std::string>& names,
                                  const std::vector<std::string>& known);

// Makes labels and class names those of a network that knows the classes `known`, see labels_among.
// So a set of 10 classes becomes one of 1000 of which 10 have pictures.
// Throws UsageError naming classes that are not known; then nothing is changed.
void label_as(DataSplits& splits, const std::vector<std::string>& known);

}  // namespace passband
