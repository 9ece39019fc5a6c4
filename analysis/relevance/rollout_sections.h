// Sections of relevance: rollout in its forms, the transport of norms, and the maps of lambda
// layers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

Section rollout_section(const AnalysisInput& input);  // Abnar and Zuidema, fusions, discard
Section rollout_gradient_section(const AnalysisInput& input);  // gradient rollout
// Chefer et al. 2021, with a perturbation test
Section rollout_class_section(const AnalysisInput& input);
Section rollout_norm_section(const AnalysisInput& input);     // norms, any block
Section channel_rollout_section(const AnalysisInput& input);  // places and channel groups
Section lambda_maps_section(const AnalysisInput& input);      // effective weights of lambda layers

// Their options and why they do not apply to some networks, for the table of analyses.
std::vector<AnalysisOption> rollout_options();
std::vector<AnalysisOption> rollout_class_options();
std::vector<AnalysisOption> channel_rollout_options();
std::string without_scores(const Subject& subject);
std::string without_lambda(const Subject& subject);

}  // namespace passband
