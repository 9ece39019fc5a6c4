#include "analysis/reach/reach.h"

#include "analysis/reach/distance_section.h"
#include "analysis/reach/entropy_section.h"
#include "analysis/reach/receptive_field_section.h"

namespace passband {
namespace {

double distance_work(const AnalysisInput& input, const DistanceOptions&) {
  return 2 * static_cast<double>(input.pictures(256));
}

double entropy_work(const AnalysisInput& input) {
  return 3 * static_cast<double>(input.pictures(256));
}

// A backward pass for each layer and draw; the exact form has one for each of some 256 channels.
double receptive_field_work(const AnalysisInput& input, const ReceptiveFieldOptions& options) {
  const int64_t passes = options.estimator == FieldEstimator::exact      ? 256
                         : options.estimator == FieldEstimator::replknet ? 1
                                                                         : options.draws;
  return 3 * static_cast<double>(input.pictures(32) * passes *
                                 std::ssize(input.subjects.front().model->branches()));
}

const std::vector<Analysis> kReachTable = {
    {.name = "distance",
     .title = "Reach of attention heads",
     .question = "Do heads look at their neighbourhood or across the picture?",
     .cost = "time: n forward passes with attention made real, T^2 per head of each layer of T "
             "tokens; memory: the T^2 of one batch and layer",
     .work = distance_work,
     .splits_pictures = true,
     .options = options_of<DistanceOptions>(
         {{"class_token",
           &DistanceOptions::class_token,
           "leave attention to the class token out of the sum, or count it as distance 0 (public "
           "script)",
           {{"renormalise", ClassToken::renormalise}, {"drop", ClassToken::drop}}}}),
     .run = distance_section},
    {.name = "entropy",
     .title = "Spread of attention heads",
     .question = "Does a head pick out a few tokens, or does it average over all of them?",
     .cost = "time: n forward passes with attention made real, T^2 logarithms per head of each "
             "layer of T tokens; memory: the T^2 of one batch and layer",
     .work = entropy_work,
     .splits_pictures = true,
     .run = entropy_section},
    {.name = "receptive-field",
     .title = "Effective receptive fields",
     .question = "How much of the picture does a layer depend on, and how fast does that grow?",
     .cost = "time: for each of L layers and n pictures a backward pass per draw (4), or per "
             "channel for the exact form; memory: the graph of 32 pictures",
     .work = receptive_field_work,
     .options = options_of<ReceptiveFieldOptions>(
         {{"estimator",
           &ReceptiveFieldOptions::estimator,
           "random signs over the channels, every channel, or the script of RepLKNet",
           {{"signs", FieldEstimator::signs},
            {"exact", FieldEstimator::exact},
            {"replknet", FieldEstimator::replknet}}},
          {"draws", &ReceptiveFieldOptions::draws, "of signs, for each picture and layer"},
          {"norm",
           &ReceptiveFieldOptions::norm,
           "of the gradient: rms, energy (its square) or absolute (published; exact only)",
           {{"rms", FieldNorm::rms},
            {"energy", FieldNorm::energy},
            {"absolute", FieldNorm::absolute}}},
          {"tap",
           &ReceptiveFieldOptions::tap,
           "after the residual addition, or the branch before it",
           {{"out", FieldTap::out}, {"branch", FieldTap::branch}}}}),
     .run = receptive_field_section},
};

}  // namespace

const std::vector<Analysis>& reach_wing() { return kReachTable; }

}  // namespace passband
