// Maps of regression and canonical correlation of several networks, collected while they run: every
// layer of every network with itself, and the first network's layers with those of each other one.
//
// Time: an SVD of (m, p) for each layer and one of (p, p') for each pair. Memory: at most 2 P^2
// doubles for P features of all layers together (see FeatureRows), whatever the number of pictures.
#pragma once
#include <string>
#include <vector>

#include "analysis/similarity/kernel_maps.h"
#include "analysis/similarity/subspace_similarity.h"

namespace passband {

struct SubspaceMap {
  DepthAxis rows = {}, columns = {};
  std::vector<SubspaceSimilarity> cells = {};  // rows x columns
  LayerMap of(double SubspaceSimilarity::*value) const;
};

struct SubspaceOptions {
  double svcca_share = 0.99;
  VarianceShare svcca_of = VarianceShare::squares;
  bool centre = true;  // false: as Kornblith's notebook, whose canonical correlations skip it
};

class SubspaceMaps {
 public:
  // `images`: how many pictures will be shown. Layers with p >= images - 1 features are refused
  // from the start.
  SubspaceMaps(size_t networks, FeatureView view, int64_t images);

  void visit(size_t network, const TapSite& site, const Tensor& buffer);
  void finish_batch();  // all networks have seen it

  // After the last batch: by network the map with itself, then the first network against 1, 2, ...
  void finish(const SubspaceOptions& options, const Progress& progress);
  const std::vector<SubspaceMap>& self() const { return self_; }
  const std::vector<SubspaceMap>& cross() const { return cross_; }

  // "Refused: vit embedding: 4160 features over ..." or nothing.
  std::string refusals(const std::vector<Subject>& subjects) const;
  int64_t widest() const;  // features of the widest layer that was not refused

 private:
  struct Layer {
    int64_t first = 0, width = 0;  // columns in rows_
    std::string refusal = {};
  };

  FeatureView view_;
  int64_t images_, width_ = 0;
  std::vector<DepthAxis> axes_;             // by network
  std::vector<std::vector<Layer>> layers_;  // by network
  std::vector<Tensor> batch_;
  FeatureRows rows_;
  std::vector<SubspaceMap> self_, cross_;
};

}  // namespace passband
