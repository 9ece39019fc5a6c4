// Names of tensors: where a file that another program wrote keeps the tensors of a model here.
#pragma once
#include <string>
#include <vector>

#include "models/tensor_file.h"

namespace passband {

// One tensor of the model in the file: whole, or in parts that follow each other along the first
// dimension (queries, keys and values).
struct FoundTensor {
  std::vector<std::string> parts;  // names in the file
  std::vector<int64_t> shape;      // of the whole
};

struct FoundTensors {
  std::map<std::string, FoundTensor> tensors;  // by names as timm has them
  std::string prefix;                          // that all names of the file begin with, left out
  std::string writer;  // whose names they are: "torchvision", ...; empty: timm's, and so ours
};

// Reads names as timm, torchvision, Hugging Face's transformers and well-known repositories write
// them: as those, and without the prefix (DataParallel's "module.", torch.compile's "_orig_mod."),
// by which most of them are among `expected`. What can be computed again (counters of batches,
// indices of positions, masks) is passed over. Throws DataError for two tensors of one name.
FoundTensors find_tensors(const TensorFile& file, const NamedShapes& expected);

// The network that the file's metadata say it is of, by the name it has now; empty when they say
// nothing.
std::string model_named_in(const TensorFile& file);

// Whether a parameter by this name belongs to the classifier: "fc", "head", "linear", ...
bool is_classifier(const std::string& name);

}  // namespace passband
