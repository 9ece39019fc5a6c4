#include "analysis/places/places.h"

#include "analysis/places/localisation_section.h"
#include "analysis/places/probes_section.h"
#include "analysis/places/skip_section.h"

namespace passband {
namespace {

double localisation_work(const AnalysisInput& input) {
  return 4 * static_cast<double>(input.pictures(1024));
}

double skip_work(const AnalysisInput& input) {
  const Model& model = *input.subjects.front().model;
  return static_cast<double>(input.pictures(512) *
                             (2 + std::ssize(model.branches()) + model.count(BlockKind::mlp)));
}

std::string without_shortcuts(const Subject& subject) {
  return subject.model->branches().empty()
             ? "it has no shortcuts; probes tell what its layers know."
             : "";
}

// A pass, and as much again twice for the sums and the answers of the probes.
double probes_work(const AnalysisInput& input, const ProbeOptions& options) {
  return 3 * static_cast<double>(options.train + options.validation + input.pictures(options.test));
}

const std::vector<Analysis> kPlacesTable = {
    {.name = "localisation",
     .title = "Position kept by tokens",
     .question = "Does a token of the last layer still speak of its own patch of the picture?",
     .cost = "time: n forward passes; per batch of 128 and layer of T places T kernels and T^2 "
             "inner products, 128^2 each; memory: 2 T 128^2 doubles per layer",
     .work = localisation_work,
     .run = localisation_section},
    {.name = "skip",
     .title = "What shortcuts carry",
     .question =
         "How much of a block's output comes past the block, and can the network do without?",
     .cost = "time: n forward passes for each of L shortcuts, and for each transformer block; "
             "memory: 400 numbers per layer",
     .work = skip_work,
     .splits_pictures = true,
     .uses_labels = true,
     .unsuited = without_shortcuts,
     .run = skip_section},
    {.name = "probes",
     .title = "Linear probes",
     .question = "At which depth can the class be read by a linear map, and from which places?",
     .cost = "time: n forward passes, n d^2 and d^3 for each probe (per layer, and per place) of d "
             "features; memory: d^2 per probe",
     .work = probes_work,
     .uses_train = true,
     .uses_labels = true,
     .options = options_of<ProbeOptions>(
         {{"train", &ProbeOptions::train, "training pictures that the probes are fitted to"},
          {"validation", &ProbeOptions::validation, "further training pictures that choose lambda"},
          {"shots", &ProbeOptions::shots, "pictures per class of the few-shot probes"},
          Option<ProbeOptions>("lambdas", &ProbeOptions::lambdas,
                               "penalties to choose from, per example")
              .written("1e-5,1e-4,1e-3,1e-2,1e-1,1,10"),
          {"features",
           &ProbeOptions::standardise,
           "centred and scaled, or as they are",
           {{"standardised", true}, {"raw", false}}},
          {"megabytes", &ProbeOptions::token_megabytes, "memory for probes of single places"}}),
     .run = probes_section},
};

}  // namespace

const std::vector<Analysis>& places_wing() { return kPlacesTable; }

}  // namespace passband
