#include "analysis/similarity/similarity.h"

#include "analysis/similarity/cka_section.h"
#include "analysis/similarity/growth_section.h"
#include "analysis/similarity/heads_section.h"
#include "analysis/similarity/similarity_section.h"

namespace passband {
namespace {

const Option<KernelOptions> kRbfFraction = {"rbf_fraction", &KernelOptions::rbf_fraction,
                                            "width of the radial kernel, of the median distance"};
const Option<KernelOptions> kRbfWidth = {
    "rbf_width",
    &KernelOptions::rbf_width,
    "median of the distances, or of all squared ones as Kornblith's notebook",
    {{"median_distance", RbfWidth::median_distance}, {"kornblith", RbfWidth::kornblith}}};
const Words<LayerChoice> kLayerChoices = {{"blocks", LayerChoice::blocks},
                                          {"all", LayerChoice::all}};
const Option<KernelOptions> kLayers = {"layers", &KernelOptions::layers,
                                       "outputs of blocks, or of every convolution, norm, query, "
                                       "key, value, head and hidden layer too",
                                       kLayerChoices};
const Option<KernelOptions> kFeatures = {
    "features",
    &KernelOptions::features,
    "a layer's map flattened, or its mean over positions",
    {{"flat", FeatureView::flat}, {"pooled", FeatureView::pooled}}};

std::string lacks_siblings(const AnalysisInput& input) {
  for (const Subject& subject : input.subjects)
    if (is_sibling(subject, input.subjects[0])) return {};
  return "It compares runs of one model: train it with --data-fraction 0.1 and with another "
         "--seed, and name those runs with --against.";
}

std::string lacks_heads(const AnalysisInput& input) {
  if (network_of_heads(input.subjects) == input.subjects.size())
    return "It needs a network with attention heads; cka compares layers of any two.";
  return input.subjects.size() > 1
             ? ""
             : "It compares heads with another network: name one with --against.";
}

// Forward passes a picture, with the kernels.
double passes_for(LayerChoice layers) { return layers == LayerChoice::all ? 4 : 1.5; }

double cka_work(const AnalysisInput& input, const CkaOptions& options) {
  return passes_for(options.layers) * static_cast<double>(input.pictures(1024) * options.passes);
}

double similarity_work(const AnalysisInput& input, const SimilarityOptions& options) {
  return 2 * passes_for(options.layers) * static_cast<double>(input.pictures(2048));
}

double heads_work(const AnalysisInput& input, const HeadSimilarityOptions&) {
  return 2 * static_cast<double>(input.pictures(1024));
}

double growth_work(const AnalysisInput& input, const GrowthOptions& options) {
  return passes_for(options.layers) * static_cast<double>(input.pictures(1024));
}

const std::vector<Analysis> kSimilarityTable = {
    {.name = "cka",
     .title = "Similarity of layers",
     .question = "Which layers represent the pictures alike, and does the network work in stages?",
     .cost =
         "time: n forward passes, then per batch of 256 a product of 256^2 p for each of L "
         "layers of p features and one of 256^2 L^2; memory: 256^2 L doubles. With layers=all L "
         "is about 8 a block, the memory at most 2 GiB by smaller batches",
     .work = cka_work,
     .splits_pictures = true,
     .options = options_of<CkaOptions>(
         {{"estimator",
           &CkaOptions::estimator,
           "of the independence criterion",
           {{"unbiased", HsicEstimator::unbiased}, {"biased", HsicEstimator::biased}}},
          {"kernel",
           &CkaOptions::kernel,
           "linear, or radial (rbf)",
           {{"linear", KernelMeasure::Kernel::linear}, {"rbf", KernelMeasure::Kernel::rbf}}},
          kLayers,
          kRbfFraction,
          kRbfWidth,
          {"batch", &CkaOptions::batch, "pictures a batch; all of them for the full-batch form"},
          {"passes", &CkaOptions::passes, "shuffled passes to average; from 2 on with deviations"},
          kFeatures}),
     .run = cka_section},
    {.name = "similarity",
     .title = "Indices of similarity",
     .question = "Does another measure of similarity tell another story about the layers?",
     .cost = "time: n forward passes, 256 n p per layer of p features, an SVD per pair of L "
             "layers; memory: 4 x 256^2 L doubles and at most 2 P^2 for P channels in all",
     .quick = false,
     .work = similarity_work,
     .options = options_of<SimilarityOptions>(
         {kLayers,
          kRbfFraction,
          kRbfWidth,
          {"batch", &SimilarityOptions::batch, "pictures a batch of the kernels"},
          kFeatures,
          {"regression_features",
           &SimilarityOptions::regression_features,
           "the same for regression and canonical correlation, which refuse more features than "
           "pictures",
           {{"pooled", FeatureView::pooled}, {"flat", FeatureView::flat}}},
          {"svcca_share", &SimilarityOptions::svcca_share, "of the variance that SVCCA keeps"},
          {"svcca_of",
           &SimilarityOptions::svcca_of,
           "variance, or the sum of singular values as the published tutorial",
           {{"squares", VarianceShare::squares},
            {"singular_values", VarianceShare::singular_values}}},
          Option<SimilarityOptions>("centre", &SimilarityOptions::centre,
                                    "features first; false as Kornblith's notebook")
              .written("true")}),
     .run = similarity_section},
    {.name = "heads",
     .title = "Near and far heads",
     .question = "Do heads that look near compute what low convolutions compute?",
     .cost = "time: n forward passes of both networks, then 256 n p for each head and layer of p "
             "features; memory: 256^2 doubles a head and layer",
     .quick = false,
     .work = heads_work,
     .options = options_of<HeadSimilarityOptions>(
         {{"layer", &HeadSimilarityOptions::layer, "attention layer, counted from 1"},
          {"size", &HeadSimilarityOptions::size, "heads of a group; 0: a quarter of them"},
          {"batch", &HeadSimilarityOptions::batch, "pictures a batch of the kernels"}}),
     .lacking = lacks_heads,
     .run = heads_section},
    {.name = "growth",
     .title = "Data scale",
     .question = "Which layers need the whole data, and which look the same after a tenth of it?",
     .cost = "time: n forward passes a network, then 256 n p per layer of p features; memory: "
             "256^2 L doubles a network",
     .work = growth_work,
     .options = options_of<GrowthOptions>(
         {{"layers", &GrowthOptions::layers, "as cka.layers", kLayerChoices}}),
     .lacking = lacks_siblings,
     .run = growth_section},
};

}  // namespace

const std::vector<Analysis>& similarity_wing() { return kSimilarityTable; }

}  // namespace passband
