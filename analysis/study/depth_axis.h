// Layers along the depth of a network: names, kinds, shading. Shared by all figures against depth.
#pragma once
#include <string>
#include <vector>

#include "analysis/report/figure.h"
#include "nn/tap.h"

namespace passband {

// The tapped layers of a network in forward order, collected during the first batch of a pass.
class DepthAxis {
 public:
  // Position of a site, appended when new.
  size_t index_of(const TapSite& site);
  size_t size() const { return sites_.size(); }
  const TapSite& operator[](size_t i) const { return sites_[i]; }
  const std::vector<TapSite>& sites() const { return sites_; }

  // "layer3.0", "layer3.0.conv1": module paths without the tap's name, unless a module has several
  // ("blocks.0.attn.q").
  std::vector<std::string> labels() const;
  std::vector<double> positions() const;  // 0, 1, 2, ...
  // Runs of one kind, and the places where the resolution falls.
  std::vector<plot::Span> spans() const;
  // Groups for the axes of layer x layer maps: stages, between changes of resolution; where single
  // layers are among them, the blocks that they lie in, unless those are many.
  std::vector<plot::Heatmap::Group> groups() const;
  std::vector<plot::Heatmap::Group> stages() const;
  // The block that a layer lies in: the next one that ends, the last one beyond all; of a block
  // itself.
  const TapSite& block_of(size_t i) const;

 private:
  std::vector<TapSite> sites_;
};

plot::Kind figure_kind(const TapSite& site);

}  // namespace passband
