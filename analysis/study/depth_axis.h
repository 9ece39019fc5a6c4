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

  std::vector<std::string> labels() const;  // "layer3.0": module paths without the tap's name
  std::vector<double> positions() const;    // 0, 1, 2, ...
  // Runs of one kind, and the places where the resolution falls.
  std::vector<plot::Span> spans() const;
  // Stages for the axes of layer x layer maps: groups between changes of resolution.
  std::vector<plot::Heatmap::Group> stages() const;

 private:
  std::vector<TapSite> sites_;
};

plot::Kind figure_kind(const TapSite& site);

}  // namespace passband
