// Maps of rollout under names: what its three sections share.
#pragma once
#include <string>
#include <vector>

#include "analysis/relevance/rollout.h"
#include "analysis/study/analysis.h"

namespace passband {

struct RolloutOptions {
  int64_t pictures = 6;  // shown
  double discard = 0.9;
  ConvolutionStep convolution = ConvolutionStep::norms;
  bool vit_explain = false;  // see AttentionStepOptions
};

struct RolloutClassOptions : RolloutOptions {
  RolloutStart start = RolloutStart::class_weighted;
};

inline constexpr int64_t kRolloutBatch = 8;  // pictures

struct NamedRollout {
  std::string title;
  RolloutSettings settings;
};

std::vector<RolloutSettings> settings_of(const std::vector<NamedRollout>& named);
// Of Abnar and Zuidema, as the options have it.
RolloutSettings plain_settings(const RolloutOptions& options);
// A rule that knows a class.
NamedRollout class_row(const RolloutClassOptions& options, RolloutRule rule);

// "read as cat"
std::vector<std::string> read_as(const Dataset& data, const std::vector<int64_t>& classes,
                                 const std::string& word);
// The pictures of subject `s` to lay the maps of classes over.
plot::Figure class_figure(const AnalysisInput& input, const RolloutOptions& options, size_t s,
                          const std::string& stem, const std::string& title);
// Adds maps of the class the network reads and of its runner-up. Returns their mean correlation.
double add_two_classes(const AnalysisInput& input, const RolloutOptions& options,
                       const Subject& subject, const NamedRollout& row, plot::Figure& figure);

std::string convolution_caveat(const RolloutOptions& options);
std::string start_caveat(const RolloutClassOptions& options);

}  // namespace passband
