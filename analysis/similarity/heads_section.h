// The section `heads`: do heads that look near compute what a convolutional network computes?
#pragma once
#include "analysis/similarity/head_similarity.h"
#include "analysis/study/analysis.h"

namespace passband {

Section heads_section(const AnalysisInput& input, const HeadSimilarityOptions& options);

}  // namespace passband
