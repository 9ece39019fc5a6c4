// LayerStudy: sums over pictures for every layer that shows two buffers, one after the other.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/depth_axis.h"
#include "analysis/study/subject.h"

namespace passband {

template <class Sums> struct LayerStudy {
  DepthAxis axis;
  std::vector<Sums> sums;  // of the layers of `axis`
};

// Gives each layer's sums the buffers of its taps `first` and `second` (shown in this order), of
// `pass.images` pictures: sums.add(site, first, second).
template <class Sums>
LayerStudy<Sums> study_layers(const Subject& subject, const Dataset& data, const PassOptions& pass,
                              const std::string& first, const std::string& second) {
  LayerStudy<Sums> study;
  Tensor seen;
  run_pass(*subject.model, data, pass, {first, second},
           [&](const TapSite& site, const Tensor& buffer) {
             if (site.name == first) {
               seen = buffer;
               return;
             }
             const size_t i = study.axis.index_of(site);
             study.sums.resize(study.axis.size());
             study.sums[i].add(site, seen, buffer);
           });
  return study;
}

}  // namespace passband
