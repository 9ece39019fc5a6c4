#include "analysis/study/network_file.h"

#include "data/imagenet_classes.h"
#include "models/family.h"
#include "models/run_settings.h"
#include "models/weight_names.h"

namespace passband {
namespace {

constexpr int64_t kSide = 224;  // of ImageNet's networks; every patch and window divides it

// The parameter whose rows are classes: its shape is another one for another number of them.
std::string classifier_of(const ParameterStore& one, const std::string& model) {
  const auto two = make_model(model, {.classes = 2, .image_size = kSide}, /*build=*/false);
  for (size_t i = 0; i < one.parameters().size(); ++i) {
    const Parameter& parameter = *one.parameters()[i];
    if (parameter.shape.rank() == 2 && parameter.shape != two->store().parameters()[i]->shape)
      return parameter.name;
  }
  return {};
}

}  // namespace

std::optional<int64_t> classes_in(const std::string& file, const std::string& model) {
  const auto network = make_model(model, {.classes = 1, .image_size = kSide}, /*build=*/false);
  NamedShapes expected;
  for (const ParameterRef& parameter : network->store().parameters()) {
    std::vector<int64_t>& shape = expected[parameter->name];
    for (int i = 0; i < parameter->shape.rank(); ++i) shape.push_back(parameter->shape[i]);
  }
  const FoundTensors found = find_tensors(*open_tensor_file(file), expected);
  const auto classifier = found.tensors.find(classifier_of(network->store(), model));
  if (classifier == found.tensors.end() || classifier->second.shape.empty()) return std::nullopt;
  return classifier->second.shape[0];
}

StemKind stem_in(const std::string& file, const std::string& model) {
  RunSettings said;
  const std::unique_ptr<TensorFile> opened = open_tensor_file(file);
  if (const auto stem = opened->metadata().find("stem");
      chooses_stem(model) && stem != opened->metadata().end())
    set_value(said, "stem", stem->second);
  return said.stem;
}

DatasetInfo made_for(int64_t classes, const std::string& named) {
  if (!named.empty()) {
    const DatasetInfo info = dataset_info(named);
    if (info.classes == classes) return info;
  }
  for (const char* const known : {"imagenet", "cifar10", "cifar100"})
    if (const DatasetInfo info = dataset_info(std::string(known)); info.classes == classes)
      return info;
  DatasetInfo info = dataset_info(std::string("imagenet"));
  info.name = std::to_string(classes) + " classes";
  info.classes = classes;
  return info;
}

}  // namespace passband
