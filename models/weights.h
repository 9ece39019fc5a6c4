// Weights in and out: safetensors files with timm's / torchvision's tensor names and layouts.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"
#include "models/tensor_file.h"

namespace passband {

// Writes parameters and buffers (f32) of the model, atomically. BatchNorm buffers include
// num_batches_tracked (I64).
void save_weights(const std::string& path, const Model& model, const Metadata& metadata = {});
// As save_weights, with other values for the flat parameter and buffer vectors (an average of
// weights).
void save_weights(const std::string& path, const Model& model, const Tensor& values,
                  const Tensor& buffers, const Metadata& metadata = {});
// What it writes: the shapes by name. Needs no memory for the parameters.
NamedShapes saved_shapes(const ParameterStore& store);
// Reads them back. A prefix that all names of the file share and the model's lack ("module.",
// "_orig_mod.", "model.") is left out, and told through `prefix`. Throws DataError naming the file
// and the first tensor that is missing, unknown or of another shape (with both shapes), or what is
// wrong with the file. Nothing is changed when it throws.
Metadata load_weights(const std::string& path, Model& model, std::string* prefix = nullptr);
// Both for a network of your own: all that its store holds.
void save_weights(const std::string& path, const ParameterStore& store,
                  const Metadata& metadata = {});
Metadata load_weights(const std::string& path, ParameterStore& store,
                      std::string* prefix = nullptr);

// Weights that were made for other classes or pictures, fitted to a model.
struct FitOptions {
  bool resample = true;   // tables of positions, where the grid differs, as timm does
  bool new_head = false;  // a classifier of other classes, or none, leaves the model's as it began
  bool other_classes = false;  // with new_head: also one of as many classes
  bool finite = true;          // NaN and infinity are refused
};
struct FittedWeights {
  Metadata metadata;
  std::vector<std::string> notes;  // what was changed, a line each
};
// As load_weights, with that. Throws likewise.
FittedWeights fit_weights(const std::string& path, Model& model, const FitOptions& options);

// The metadata alone.
Metadata read_metadata(const std::string& path);

// Plain named tensors, for optimiser state and tests.
void write_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                       const Metadata& = {});
std::map<std::string, Tensor> read_safetensors(const std::string& path,
                                               Metadata* metadata = nullptr);

}  // namespace passband
