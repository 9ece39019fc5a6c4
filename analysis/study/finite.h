// Numbers that are not finite: found where they arise, named by network, layer and quantity, and
// kept out of every mean, ranking and sentence.
#pragma once
#include <span>
#include <string>

#include "models/model.h"
#include "nn/tap.h"
#include "tensor/core/error.h"

namespace passband {

// Something of `model` is not finite. What it says is a phrase without the network's name: "its
// activations stages.1.blocks.0.out are not finite". run_analysis leaves the network out and says
// so.
class NotFinite : public Error {
 public:
  NotFinite(const Model& model, const std::string& what) : Error(what), model_(&model) {}
  const Model& model() const { return *model_; }

 private:
  const Model* model_;
};

// Without values too. Time: one pass over them.
bool all_finite(const Tensor& x);

// "its weights stem.conv.weight (3 of 432 values) are not finite", running statistics included;
// empty: they are. A null model has none.
std::string non_finite_weights(const Model* model);

// Throw NotFinite, outside any graph.
void check_finite(const Model& model, const TapSite& site, const Tensor& buffer);
void check_finite(const Model& model, std::span<const double> values, const std::string& quantity);
// `logits` (N, classes) came from `images`. Where they are not finite, a second pass finds the
// first layer that is not.
void check_logits(const Model& model, const Tensor& images, const Tensor& logits);

// model(images) in the context of the caller, checked.
Tensor finite_logits(const Model& model, const Tensor& images);

}  // namespace passband
