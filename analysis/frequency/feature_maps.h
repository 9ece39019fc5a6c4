// Feature maps layer by layer: a number or a spectrum for each, and how blocks change it.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/analysis.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/kind_points.h"

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
  const OwnPart part_of_all = run_pass(*subject.model, *input.data, pass, {"out"},
                                       [&](const TapSite& site, const Tensor& buffer) {
                                         if (site.height < 2 || site.width < 2) return;
                                         const size_t i = result.axis.index_of(site);
                                         result.sums.resize(result.axis.size());
                                         result.sums[i].add(as_feature_map(site, buffer));
                                       });
  for (Accumulator& sums : result.sums) sums.join(part_of_all);
  return result;
}

// "MSA blocks lower it by 0.12 on average (3 blocks), convolution blocks raise it by 0.08 (6
// blocks)"
std::string changes_by_kind(const DepthAxis& axis, const std::vector<double>& values);

// How each block changes a number of the map: what its layer has of every picture less what the
// layer before it has, where both have one resolution.
struct BlockChange {
  BlockKind kind = BlockKind::conv;
  std::string label = {};
  std::vector<double> pictures = {};
};
std::vector<BlockChange> block_changes(const DepthAxis& axis,
                                       const std::vector<std::vector<double>>& pictures);
template <class Accumulator>
std::vector<BlockChange> block_changes(const PerLayer<Accumulator>& layers) {
  std::vector<std::vector<double>> pictures;
  for (const Accumulator& sums : layers.sums) pictures.push_back(sums.of_pictures());
  return block_changes(layers.axis, pictures);
}

// Their means over pictures, for `kind_figure`.
NetworkEffects effects_of(const std::string& network, const std::vector<BlockChange>& changes);
// What blocks of a kind do on average: for every picture the mean over the blocks, then its mean
// over pictures. Not finite without such blocks.
Estimate change_of_kind(const std::vector<BlockChange>& changes, BlockKind kind);

// A panel with the layers along x.
plot::Panel against_depth(const DepthAxis& axis, const std::string& title, const std::string& y);

}  // namespace passband
