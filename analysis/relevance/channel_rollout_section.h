// The section `channel-rollout`: what blocks move, over places and groups of channels.
#pragma once
#include <cstdint>

#include "analysis/study/analysis.h"

namespace passband {

struct ChannelRolloutOptions {
  int64_t groups = 8;
  bool for_class = true;  // relevance starts as shares in the class; else as lengths
};

Section channel_rollout_section(const AnalysisInput& input, const ChannelRolloutOptions& options);

}  // namespace passband
