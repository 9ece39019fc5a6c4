// Feature maps layer by layer: a number or a spectrum for each, and how blocks change it.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/analysis.h"
#include "analysis/study/depth_axis.h"

namespace passband {

// One accumulator per layer with feature maps of at least 2 x 2.
template <class Accumulator> struct PerLayer {
  DepthAxis axis;
  std::vector<Accumulator> sums;
};

template <class Accumulator>
PerLayer<Accumulator> accumulate(const AnalysisInput& input, size_t s, int64_t images) {
  PerLayer<Accumulator> result;
  const Subject& subject = input.subjects[s];
  const Progress part = input.part_of(s);
  const PassOptions pass{.images = images, .progress = part};
  run_pass(*subject.model, *input.data, pass, {"out"},
           [&](const TapSite& site, const Tensor& buffer) {
             if (site.height < 2 || site.width < 2) return;
             const size_t i = result.axis.index_of(site);
             result.sums.resize(result.axis.size());
             result.sums[i].add(as_feature_map(site, buffer));
           });
  return result;
}

// "MSA blocks lower it by 0.12 on average (3 blocks), convolution blocks raise it by 0.08 (6
// blocks)"
std::string changes_by_kind(const DepthAxis& axis, const std::vector<double>& values);

// A panel with the layers along x.
plot::Panel against_depth(const DepthAxis& axis, const std::string& title, const std::string& y);

}  // namespace passband
