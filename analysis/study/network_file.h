// A network from a file of weights: what it knows, told by its classifier.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "models/model.h"

namespace passband {

// Classes of the network `model` whose weights the file holds: the rows of its classifier. Nothing
// when the file has no such tensor. Throws DataError for an unreadable file.
std::optional<int64_t> classes_in(const std::string& file, const std::string& model);

// The stem that the file says its network has, where `model` can have one or another.
StemKind stem_in(const std::string& file, const std::string& model);

// The pictures that a network of so many classes was made for, as far as that tells: `named` where
// it has as many, else ImageNet's or CIFAR's description, else one of numbered classes.
DatasetInfo made_for(int64_t classes, const std::string& named);

}  // namespace passband
