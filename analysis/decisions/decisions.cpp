#include "analysis/decisions/decisions.h"

#include <filesystem>

#include "analysis/decisions/calibration_section.h"
#include "analysis/decisions/confusion_section.h"
#include "analysis/decisions/robustness_section.h"
#include "analysis/decisions/shape_bias_section.h"
#include "data/corruptions.h"

namespace passband {
namespace {

bool brings_stimuli(const AnalysisInput&, const ShapeBiasOptions& options) {
  return !options.folder.empty();
}

std::string lacks_conflicts(const AnalysisInput& input, const ShapeBiasOptions& options) {
  if (input.data->has_cues() || brings_stimuli(input, options)) return {};
  return "It needs networks trained on the built-in set shapes, or a folder of stimuli: --set "
         "shape-bias.folder=PATH.";
}

// Forward passes over all test pictures, or over as many as --images says.
double all_pictures(const AnalysisInput& input) {
  return static_cast<double>(input.pictures(input.data ? input.data->count : 10000));
}

double shape_bias_work(const AnalysisInput& input, const ShapeBiasOptions& options) {
  if (options.folder.empty()) return static_cast<double>(input.images_or(2000));
  std::error_code none;
  return static_cast<double>(
      1 + std::distance(std::filesystem::recursive_directory_iterator(options.folder, none),
                        std::filesystem::recursive_directory_iterator()));
}

double robustness_work(const AnalysisInput& input, const RobustnessOptions& options) {
  const int kinds = options.extra ? kCorruptions : kCommonCorruptions;
  return static_cast<double>(input.pictures(100) * (1 + kinds * kSeverities));
}

const std::vector<Analysis> kDecisionsTable = {
    {.name = "calibration",
     .title = "Calibration",
     .question = "When the network says 80 %, is it right in 80 of 100 cases?",
     .cost = "time: n forward passes (all test pictures), shared with confusion; memory: 16 n "
             "bytes and 10,000 K logits of K classes",
     .work = all_pictures,
     .splits_pictures = true,
     .uses_labels = true,
     .options = options_of<CalibrationOptions>(
         {{"bins", &CalibrationOptions::bins, "of confidence; Park and Kim (2022) use 10"}}),
     .run = calibration_section},
    {.name = "confusion",
     .title = "Confusions",
     .question = "Which classes are taken for which?",
     .cost = "time: nothing after calibration, else n forward passes; memory: K^2 for K classes",
     .work = all_pictures,
     .shares = "calibration",
     .splits_pictures = true,
     .uses_labels = true,
     .run = confusion_section},
    {.name = "shape-bias",
     .title = "Shape or texture",
     .question = "When outline and texture disagree, which one does the network believe?",
     .cost = "time: n forward passes; memory: the n pictures",
     .work = shape_bias_work,
     .options = options_of<ShapeBiasOptions>(
         {{"folder", &ShapeBiasOptions::folder,
           "stimuli named as cat7-dog3.png instead of the built-in shapes"},
          {"mapping", &ShapeBiasOptions::mapping,
           "file of lines 'category: class class ...' for the folder"},
          {"pool",
           &ShapeBiasOptions::pool,
           "of the probabilities of a category's classes",
           {{"mean", Pool::mean}, {"sum", Pool::sum}, {"max", Pool::max}}},
          {"seed", &ShapeBiasOptions::seed, "of the built-in pictures"}}),
     .lacking = lacks_conflicts,
     .brings_pictures = brings_stimuli,
     .run = shape_bias_section},
    {.name = "robustness",
     .title = "Robustness to corruptions",
     .question = "How does the network bear noise, blur, weather and compression?",
     .cost = "time: 95 n forward passes and corruptions; memory: one batch",
     .work = robustness_work,
     .splits_pictures = true,
     .uses_labels = true,
     .options = options_of<RobustnessOptions>(
         {{"extra", &RobustnessOptions::extra, "also the four extra corruptions"},
          {"files", &RobustnessOptions::files,
           "folder of CIFAR-10-C, CIFAR-100-C (.npy) or ImageNet-C, in place of pictures made here",
           "none"},
          {"seed", &RobustnessOptions::seed, "of the random corruptions"}}),
     .run = robustness_section},
};

}  // namespace

const std::vector<Analysis>& decisions_wing() { return kDecisionsTable; }

}  // namespace passband
