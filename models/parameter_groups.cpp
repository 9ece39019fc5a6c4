#include "models/parameter_groups.h"

#include <set>

#include "models/weight_names.h"

namespace passband {
namespace {

bool is_hidden_matrix(const Parameter& p) {
  const Shape& shape = p.shape;
  const bool matrix = p.layout == Layout::same && shape.rank() == 2;
  const bool filters = p.layout == Layout::conv || p.layout == Layout::conv_1x1;
  if (p.frozen || !p.decay || !(matrix || filters) || is_classifier(p.name)) return false;
  for (const char* embedding : {"patch_embed.", "patch_embeds.0.", "stem.proj."})
    if (p.name.starts_with(embedding)) return false;
  return shape[0] > 1 && shape.numel() > shape[0];
}

}  // namespace

std::vector<bool> hidden_matrices(const ParameterStore& store) {
  std::vector<bool> matrices;
  for (const ParameterRef& p : store.parameters()) matrices.push_back(is_hidden_matrix(*p));
  return matrices;
}

std::vector<bool> batch_norm_biases(const ParameterStore& store) {
  std::set<std::string> statistics;
  for (const BufferRef& buffer : store.buffers()) statistics.insert(buffer->name);
  std::vector<bool> biases;
  for (const ParameterRef& p : store.parameters()) {
    const size_t dot = p->name.rfind('.') + 1;
    biases.push_back(p->name.substr(dot) == "bias" &&
                     statistics.contains(p->name.substr(0, dot) + "running_mean"));
  }
  return biases;
}

}  // namespace passband
