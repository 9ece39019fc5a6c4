// ValueContributions: what the values that a layer mixes send along the decision, place by place.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/tap.h"

namespace passband {

// <v_m, d(logit_c - mean logit) / d v_m> of every place m of one layer, one map for each picture.
struct ValueContributions {
  TapSite site;
  std::vector<double> values;  // pictures x places, signed; tokens before the grid first
};

// For each layer that shows its values under the tap `tap`; class c of picture i is classes[i]. A
// layer that the logits do not depend on contributes zeros. Time: one forward and one backward
// pass; memory: their graph.
std::vector<ValueContributions> value_contributions(const Model& model, const Tensor& images,
                                                    const std::vector<int64_t>& classes,
                                                    const std::string& tap);

}  // namespace passband
