// Networks to explore, with edits and what the program's own taps make of them.
#pragma once
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "analysis/explore/edits.h"
#include "models/model.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/core/random.h"

namespace passband::testing {

// A network in which no number is special: scales are not 1, statistics not 0 and 1.
inline std::shared_ptr<Model> disturbed(const std::string& name, int64_t side, uint64_t seed = 1) {
  std::shared_ptr<Model> model = make_model(name, {.classes = 3, .image_size = side, .seed = seed});
  RandomSequence random({seed, 0, site_of("disturbed")});
  for (const ParameterRef& p : model->store().parameters()) {
    if (p->frozen) continue;
    Tensor value = p->value.detach();
    const float size = p->shape.rank() == 1 ? 0.2f : 0.01f;
    for (int64_t i = 0; i < value.numel(); ++i) value.data<float>()[i] += size * random.normal();
  }
  for (const BufferRef& b : model->store().buffers()) {
    const bool variance = b->name.ends_with("var");
    for (int64_t i = 0; i < b->value.numel(); ++i) {
      const float drawn = random.normal();
      b->value.data<float>()[i] = variance ? 0.5f + std::abs(drawn) : 0.2f * drawn;
    }
  }
  model->store().touch();
  return model;
}

inline std::vector<double> logits_of(Model& model, const Dataset& data, int64_t index,
                                     const std::vector<Edit>& edits) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const EditGuard guard(model, edits);
  const Tensor images = network_images(model, data, {index});
  return model(edited_pictures(images, {index}, edits)).values();
}

// The first and the last edit of each kind, and some together.
inline std::vector<std::vector<Edit>> tried_edits(const NetworkGraph& graph) {
  std::map<EditKind, std::vector<Edit>> by_kind;
  for (const Edit& edit : edits_of(graph, 100'000)) by_kind[edit.kind].push_back(edit);
  std::vector<std::vector<Edit>> tried;
  std::vector<Edit> together;
  for (const auto& [kind, edits] : by_kind) {
    tried.push_back({edits.front()});
    tried.push_back({edits.back()});
    together.push_back(edits[edits.size() / 2]);
  }
  tried.push_back(together);
  return tried;
}

}  // namespace passband::testing
