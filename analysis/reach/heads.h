// Attention heads layer by layer: an accumulator for each attention layer of a network.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "analysis/study/analysis.h"
#include "analysis/study/depth_axis.h"
#include "tensor/ops/pointwise.h"

namespace passband {

// One accumulator for each attention layer. A lambda layer stands in by the absolute values of its
// effective weights, where the accumulator can take them.
template <class Accumulator> struct Heads {
  DepthAxis axis;
  std::vector<Accumulator> sums;
};

template <class Accumulator>
Heads<Accumulator> measure_heads(const Subject& subject, const Dataset& data, int64_t images,
                                 const Progress& progress, const std::vector<std::string>& taps,
                                 const Accumulator& fresh) {
  Heads<Accumulator> heads;
  const bool lambda = std::ranges::find(taps, "lambda") != taps.end();
  const PassOptions pass{.images = images, .batch_size = lambda ? 8 : 64, .progress = progress};
  const OwnPart part =
      run_pass(*subject.model, data, pass, taps, [&](const TapSite& site, const Tensor& weights) {
        const size_t i = heads.axis.index_of(site);
        heads.sums.resize(heads.axis.size(), fresh);
        heads.sums[i].add(site, site.name == "lambda" ? abs(weights) : weights);
      });
  for (Accumulator& sums : heads.sums) sums.join(part);
  return heads;
}

}  // namespace passband
