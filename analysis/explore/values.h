// Every value of a network for one picture, by the program's own operations: what the page's engine
// computes for itself, in the same order.
#pragma once
#include <vector>

#include "analysis/explore/edits.h"

namespace passband {

// Value i of the graph (0: the picture, i + 1: the result of operation i, as its taps show it) when
// `picture` (1, side, side, 3) runs through `model` under `edits`, noise apart (edited_pictures).
// `graph` is graph_of(model). Every tap is open. Throws Error where the network ran other
// operations than the graph has. Time: one forward pass; memory: all its results.
std::vector<Tensor> graph_values(Model& model, const NetworkGraph& graph, const Tensor& picture,
                                 const std::vector<Edit>& edits);

// Mean over the channels of the absolute value, (height, width) of the site's grid.
std::vector<double> activity_of(const TapSite& site, const Tensor& value);

// See models/ring_spectrum.h.
std::vector<double> ring_spectrum_of(const TapSite& site, const Tensor& value);

}  // namespace passband
