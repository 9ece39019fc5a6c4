// The section `similarity`: do the indices of similarity agree?
#pragma once
#include "analysis/similarity/subspace_maps.h"
#include "analysis/study/analysis.h"

namespace passband {

struct SimilarityOptions : KernelOptions, SubspaceOptions {
  int64_t batch = 256;
  FeatureView regression_features = FeatureView::pooled;
};

Section similarity_section(const AnalysisInput& input, const SimilarityOptions& options);

}  // namespace passband
