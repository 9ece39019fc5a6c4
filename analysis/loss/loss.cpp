#include "analysis/loss/loss.h"

#include <algorithm>

#include "analysis/loss/augmented_section.h"
#include "analysis/loss/curves_section.h"
#include "analysis/loss/hessian_section.h"
#include "analysis/loss/landscape_section.h"
#include "analysis/loss/lesion_section.h"

namespace passband {
namespace {

const Option<LossOptions> kDecay = {"decay", &LossOptions::decay,
                                    "weight decay in the loss: run, or a number", "run"};
const Option<LossOptions> kDecayRule = {
    "decay_rule",
    &LossOptions::decay_rule,
    "squared: half the sum of squares; norms: unsquared, as Park and Kim's script",
    {{"squared", LossTerms::Decay::squared}, {"norms", LossTerms::Decay::norms}}};

std::string without_branches(const Subject& subject) {
  return subject.model->branches().empty()
             ? "it has no residual branches to leave out; probes tell what its layers know."
             : "";
}

std::string without_run(const Subject& subject) {
  return subject.run ? "" : "it is no run, so nothing says how it was trained.";
}

std::string without_any_run(const AnalysisInput& input) {
  const bool any = std::ranges::any_of(input.subjects, [](const Subject& s) { return !!s.run; });
  return any ? "" : "it is about runs, and none of the networks is one.";
}

// Reads a log.
double curves_work(const AnalysisInput&) { return 0; }

double augmented_work(const AnalysisInput& input) {
  return static_cast<double>(input.images_or(2000) + input.pictures(2000));
}

// A Hessian product counts 6 forward passes of its pictures.
double hessian_work(const AnalysisInput& input, const HessianOptions& o) {
  const int64_t products = o.method == EigenvalueMethod::power ? 30 * o.top : o.top_steps,
                minibatches = o.minibatches * o.batch * products,
                full = input.images_or(128) * (o.probes * o.steps + o.trace_probes);
  return 6 * static_cast<double>(minibatches + full);
}

double landscape_work(const AnalysisInput& input, const LandscapeOptions& o) {
  return static_cast<double>(input.images_or(128) *
                             (2 * o.line_points + o.side_points * o.side_points));
}

// Every branch, whole transformer blocks, and the convolutions inside convolution blocks.
double lesion_work(const AnalysisInput& input) {
  const Model& model = *input.subjects.front().model;
  const int64_t parts =
      std::ssize(model.branches()) + model.count(BlockKind::mlp) + 2 * model.count(BlockKind::conv);
  return static_cast<double>(input.pictures(500) * (1 + parts));
}

const std::vector<Analysis> kLossTable = {
    {.name = "curves",
     .title = "Loss and accuracy over training",
     .question = "How did the training go, and had it ended when it was stopped?",
     .cost = "time: none, the run's log is read; memory: the log",
     .leads = true,
     .work = curves_work,
     .unsuited = without_run,
     .lacking = without_any_run,
     .run = curves_section},
    {.name = "augmented",
     .title = "Training pictures as they were augmented",
     .question =
         "Does a network that fits its augmented training pictures better also do better on "
         "test pictures?",
     .cost = "time: n forward passes of training and of test pictures; memory: a batch of 128",
     .quick = false,
     .work = augmented_work,
     .splits_pictures = true,
     .uses_train = true,
     .uses_labels = true,
     .unsuited = without_run,
     .lacking = without_any_run,
     .run = augmented_section},
    {.name = "hessian",
     .title = "Curvature of the loss",
     .question = "How sharp is the minimum, and in how many directions does the loss bend down?",
     .cost = "time: 24 Hessian products for each of 8 minibatches of 16, and 18 over n pictures, a "
             "product about 6 forward passes; memory: 24 parameter vectors and the graph of 16 "
             "pictures",
     .work = hessian_work,
     .splits_pictures = true,
     .uses_train = true,
     .uses_labels = true,
     .options = options_of<HessianOptions>(
         {{"minibatches", &HessianOptions::minibatches,
           "minibatches of the spectrum of largest eigenvalues"},
          {"batch", &HessianOptions::batch, "pictures of a minibatch"},
          {"top", &HessianOptions::top, "eigenvalues of each minibatch"},
          {"method",
           &HessianOptions::method,
           "how they are found; power: as PyHessian",
           {{"lanczos", EigenvalueMethod::lanczos}, {"power", EigenvalueMethod::power}}},
          {"top_steps", &HessianOptions::top_steps, "Lanczos steps for each minibatch at most"},
          {"tolerance", &HessianOptions::tolerance,
           "residual of a minibatch eigenvalue relative to the largest"},
          {"augment", &HessianOptions::augment,
           "minibatches are made as in training: cropped, flipped, cut out, mixed"},
          kDecay,
          kDecayRule,
          {"steps", &HessianOptions::steps, "Lanczos steps on the full batch"},
          {"probes", &HessianOptions::probes, "random starts of the spectral density"},
          {"trace_probes", &HessianOptions::trace_probes, "further probes of the trace"},
          {"kernel",
           &HessianOptions::kernel,
           "width of the density: a hundredth of the range, or as PyHessian",
           {{"relative", DensityWidth::relative}, {"pyhessian", DensityWidth::pyhessian}}}}),
     .run = hessian_section},
    {.name = "landscape",
     .title = "Loss landscape",
     .question = "How wide and how smooth is the valley that training found?",
     .cost = "time: n forward passes for each of 163 points, goes on where it was interrupted; "
             "memory: two directions, a copy of the parameters, and n pictures up to 4096",
     .work = landscape_work,
     .splits_pictures = true,
     .uses_train = true,
     .uses_labels = true,
     .options = options_of<LandscapeOptions>(
         {{"side_points", &LandscapeOptions::side_points,
           "points of a side of the surface, odd (published: 51, Park and Kim 21)"},
          {"line_points", &LandscapeOptions::line_points, "points of each line, odd"},
          {"reach", &LandscapeOptions::reach, "distance from the centre to the sides"},
          {"scaling",
           &LandscapeOptions::scaling,
           "filter: Li et al.; position: as Park and Kim's script",
           {{"filter", FilterNorm::filter}, {"position", FilterNorm::position}}},
          {"augment", &LandscapeOptions::augment,
           "show pictures made as in training: cropped, flipped, cut out, mixed"},
          kDecay,
          kDecayRule}),
     .run = landscape_section},
    {.name = "lesion",
     .title = "Lesions",
     .question = "Which parts does the trained network need, and which can it do without?",
     .cost = "time: n forward passes for each of L parts; memory: one batch",
     .work = lesion_work,
     .splits_pictures = true,
     .uses_labels = true,
     .options = options_of<LesionOptions>(
         {{"removal",
           &LesionOptions::removal,
           "what a branch contributes: nothing, or its mean over the pictures",
           {{"zero", Removal::zero}, {"mean", Removal::mean}}}}),
     .unsuited = without_branches,
     .run = lesion_section},
};

}  // namespace

const std::vector<Analysis>& loss_wing() { return kLossTable; }

}  // namespace passband
