// The table of analyses, in the order of the report: one group of rows for each part of it.
#include <algorithm>
#include <iterator>

#include "analysis/loss/loss_sections.h"
#include "analysis/places/spatial_sections.h"
#include "analysis/relevance/rollout_sections.h"
#include "analysis/study/analysis.h"
#include "analysis/study/representation_sections.h"

namespace passband {
namespace {

using Rows = std::vector<Analysis>;

const AnalysisOption kRbfFraction = {"rbf_fraction", "0.4",
                                     "width of the radial kernel, of the median distance"};
const AnalysisOption kRbfWidth = {
    "rbf_width",
    "median_distance",
    "median of the distances, or of all squared ones as Kornblith's notebook",
    {"median_distance", "kornblith"}};
const AnalysisOption kFeatures = {
    "features", "flat", "a layer's map flattened, or its mean over positions", {"flat", "pooled"}};

Rows similarity_rows() {
  return {
      {.name = "cka",
       .question =
           "Which layers represent the pictures alike, and does the network work in stages?",
       .cost = "time: n forward passes, then per batch of 256 a product of 256^2 p for each of L "
               "layers of p features and one of 256^2 L^2; memory: 256^2 L doubles",
       .work = 1500,
       .options =
           {{"estimator", "unbiased", "of the independence criterion", {"unbiased", "biased"}},
            {"kernel", "linear", "linear, or radial (rbf)", {"linear", "rbf"}},
            kRbfFraction,
            kRbfWidth,
            {"batch", "256", "pictures a batch; all of them for the full-batch form"},
            {"passes", "1", "shuffled passes to average; from 2 on with deviations"},
            kFeatures},
       .run = cka_section},
      {.name = "similarity",
       .question = "Does another measure of similarity tell another story about the layers?",
       .cost = "time: n forward passes, 256 n p per layer of p features, an SVD per pair of L "
               "layers; memory: 4 x "
               "256^2 L doubles and at most 2 P^2 for P channels in all",
       .quick = false,
       .work = 6000,
       .options = {kRbfFraction,
                   kRbfWidth,
                   {"batch", "256", "pictures a batch of the kernels"},
                   kFeatures,
                   {"regression_features",
                    "pooled",
                    "the same for regression and canonical correlation, "
                    "which refuse more features than pictures",
                    {"pooled", "flat"}},
                   {"svcca_share", "0.99", "of the variance that SVCCA keeps"},
                   {"svcca_of",
                    "squares",
                    "variance, or the sum of singular values as the published tutorial",
                    {"squares", "singular_values"}},
                   {"centre", "true", "features first; false as Kornblith's notebook"}},
       .run = similarity_section},
  };
}

Rows frequency_rows() {
  return {
      {.name = "fourier",
       .question =
           "Does a block pass or stop high frequencies: is it a high-pass or a low-pass filter?",
       .cost = "time: n forward passes and an FFT per channel of each of L layers; memory: H W "
               "doubles per layer",
       .work = 1500,
       .options =
           {{"bias", "mark", "mark what white noise reads, or subtract it", {"mark", "subtract"}},
            {"axis",
             "exact",
             "frequencies as they are, or stretched to end at 1.0 pi as published",
             {"exact", "published"}}},
       .run = fourier_section},
      {.name = "noise",
       .question = "Does noise of low or of high frequency hurt the network more?",
       .cost = "time: 2 n forward passes per band and n more, 19 n for 9 bands, whatever the "
               "depth; memory: one batch",
       .work = 19000,
       .options = {{"frequencies", "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9",
                    "centres of the bands, in units of pi"},
                   {"epsilon", "0.7", "of the sign noise, in units of the normalised input"},
                   {"half_width", "0.2", "of a band, in radians per pixel"},
                   {"ring",
                    "symmetric",
                    "the band, or the bins of the published script",
                    {"symmetric", "park_kim"}}},
       .run = noise_section},
      {.name = "heatmap",
       .question = "Which single wave, laid over a picture, does the network not see through?",
       .cost =
           "time: n forward passes per frequency, (side / step)^2 / 2 of them; memory: one batch",
       .quick = false,
       .work = 14500,
       .options =
           {{"images", "100", "pictures for each frequency"},
            {"step", "2", "between measured frequencies; 1 is all of them"},
            {"reach", "0",
             "largest frequency; 0 is half of the side, 31 the published region for 224 x 224"},
            {"norm", "0", "of a wave, per channel; 0 is the published one for the size"}},
       .run = heatmap_section},
      {.name = "variance",
       .question = "Where does the network spread its feature maps, and where does it smooth them?",
       .cost = "time: n forward passes; memory: a number for each of L layers",
       .work = 1000,
       .run = variance_section},
  };
}

Rows reach_rows() {
  return {
      {.name = "distance",
       .question = "Do heads look at their neighbourhood or across the picture?",
       .cost = "time: n forward passes with attention made real, T^2 per head of each layer of T "
               "tokens; memory: the "
               "T^2 of one batch and layer",
       .work = 500,
       .options = {{"class_token",
                    "renormalise",
                    "leave attention to the class token out of the sum, or "
                    "count it as distance 0 (public script)",
                    {"renormalise", "drop"}}},
       .run = distance_section},
      {.name = "entropy",
       .question = "Does a head pick out a few tokens, or does it average over all of them?",
       .cost = "time: n forward passes with attention made real, T^2 logarithms per head of each "
               "layer of T tokens; "
               "memory: the T^2 of one batch and layer",
       .work = 700,
       .run = entropy_section},
      {.name = "receptive-field",
       .question = "How much of the picture does a layer depend on, and how fast does that grow?",
       .cost = "time: for each of L layers and n pictures a backward pass per draw (4), or per "
               "channel for the exact "
               "form; memory: the graph of 32 pictures",
       .work = 3000,
       .options = {{"estimator",
                    "signs",
                    "random signs over the channels, every channel, or the script of RepLKNet",
                    {"signs", "exact", "replknet"}},
                   {"draws", "4", "of signs, for each picture and layer"},
                   {"norm",
                    "rms",
                    "of the gradient: rms, energy (its square) or absolute (published; exact only)",
                    {"rms", "energy", "absolute"}},
                   {"tap",
                    "out",
                    "after the residual addition, or the branch before it",
                    {"out", "branch"}}},
       .run = receptive_field_section},
  };
}

Rows rollout_rows() {
  return {
      {.name = "rollout",
       .question = "Which parts of a picture does attention carry to the decision?",
       .cost = "time: n forward passes, T^2 per attention layer of T tokens, 25 to 49 copies of a "
               "picture for convolution blocks; memory: T^2 h per layer of h heads for 8 pictures",
       .work = 5000,
       .options = rollout_options(),
       .unsuited = without_scores,
       .run = rollout_section},
      {.name = "rollout-gradient",
       .question = "Which attention raises the logit of the class, followed down to the picture?",
       .cost = "time: as rollout for the pictures shown, and a backward pass for each of two "
               "classes; memory: as "
               "rollout, and the graph of the pictures shown",
       .work = 2500,
       .options = rollout_class_options(),
       .unsuited = without_scores,
       .run = rollout_gradient_section},
      {.name = "rollout-class",
       .question =
           "Which parts of a picture speak for a class, and does hiding them change the answer?",
       .cost = "time: as rollout with a backward pass for n pictures, and 80 forward passes per "
               "picture to test the "
               "maps; memory: as rollout, and the graph of 8 pictures",
       .work = 15000,
       .options = rollout_class_options(),
       .unsuited = without_scores,
       .run = rollout_class_section},
      {.name = "rollout-norm",
       .question = "How far does a block, of whatever kind, carry information, and from where does "
                   "the decision gather?",
       .cost = "time: per picture T copies for each attention or lambda layer of T tokens, 25 to "
               "49 for convolutions, 3 backward passes each; memory: T^2 "
               "per layer and the graphs of 32 copies",
       .work = 8000,
       .run = rollout_norm_section},
      {.name = "channel-rollout",
       .question = "Through which channels, and not only which places, does the decision gather?",
       .cost = "time: rollout-norm times the number of channel groups g; "
               "memory: (T g)^2 per layer of T places",
       .quick = false,
       .work = 40000,
       .options = channel_rollout_options(),
       .run = channel_rollout_section},
      {.name = "lambda-maps",
       .question = "Do lambda layers mix places by content or by position, "
                   "and which places speak for the class?",
       .cost = "time: n forward passes with weights made real, h T^2 per lambda layer of h heads "
               "over T places; memory: the h T^2 of one batch and layer",
       .work = 200,
       .unsuited = without_lambda,
       .run = lambda_maps_section},
  };
}

Rows spatial_rows() {
  return {
      {.name = "localisation",
       .question = "Does a token of the last layer still speak of its own patch of the picture?",
       .cost = "time: n forward passes; per batch of 128 and layer of T places T kernels and T^2 "
               "inner products, 128^2 each; memory: 2 T 128^2 doubles per layer",
       .work = 4000,
       .run = localisation_section},
      {.name = "skip",
       .question =
           "How much of a block's output comes past the block, and can the network do without?",
       .cost = "time: n forward passes for each of L shortcuts, and for each transformer block; "
               "memory: 400 numbers per layer",
       .work = 6000,
       .run = skip_section},
      {.name = "probes",
       .question = "At which depth can the class be read by a linear map, and from which places?",
       .cost = "time: n forward passes, n d^2 and d^3 for each probe (per layer, and per place) of "
               "d features; memory: d^2 per probe",
       .work = 10000,
       .uses_train = true,
       .options = probe_options(),
       .run = probes_section},
  };
}

Rows calibration_rows() {
  return {
      {.name = "calibration",
       .question = "When the network says 80 %, is it right in 80 of 100 cases?",
       .cost = "time: n forward passes (all test pictures), shared with confusion; memory: 16 n "
               "bytes and 10,000 K "
               "logits of K classes",
       .work = 10000,
       .options = {{"bins", "15", "of confidence; Park and Kim (2022) use 10"}},
       .run = calibration_section},
      {.name = "confusion",
       .question = "Which classes are taken for which?",
       .cost = "time: nothing after calibration, else n forward passes; memory: K^2 for K classes",
       .work = 100,
       .run = confusion_section},
      {.name = "shape-bias",
       .question = "When outline and texture disagree, which one does the network believe?",
       .cost = "time: n forward passes; memory: the n pictures",
       .work = 2000,
       .options = {{"folder", "", "stimuli named as cat7-dog3.png instead of the built-in shapes"},
                   {"mapping", "", "file of lines 'category: class class ...' for the folder"},
                   {"pool",
                    "mean",
                    "of the probabilities of a category's classes",
                    {"mean", "sum", "max"}},
                   {"seed", "1", "of the built-in pictures"}},
       .lacking = lacks_conflicts,
       .brings_pictures = brings_stimuli,
       .run = shape_bias_section},
  };
}

Rows loss_rows() {
  return {
      {.name = "hessian",
       .question = "How sharp is the minimum, and in how many directions does the loss bend down?",
       .cost = "time: 24 Hessian products for each of 8 minibatches of 16, and 18 over n pictures, "
               "a product about 6 "
               "forward passes; memory: 24 parameter vectors and the graph of 64 pictures",
       .work = 50000,
       .uses_train = true,
       .options = hessian_options(),
       .run = hessian_section},
      {.name = "landscape",
       .question = "How wide and how smooth is the valley that training found?",
       .cost = "time: n forward passes for each of 163 points, goes on where it was interrupted; "
               "memory: two directions, a copy of the parameters, and n pictures up to 4096",
       .work = 21000,
       .uses_train = true,
       .options = landscape_options(),
       .run = landscape_section},
      {.name = "lesion",
       .question = "Which parts does the trained network need, and which can it do without?",
       .cost = "time: n forward passes for each of L parts; memory: one batch",
       .work = 12000,
       .options = lesion_options(),
       .unsuited = without_branches,
       .run = lesion_section},
      {.name = "robustness",
       .question = "How does the network bear noise, blur, weather and compression?",
       .cost = "time: 95 n forward passes and corruptions; memory: one batch",
       .work = 9600,
       .options = robustness_options(),
       .run = robustness_section},
  };
}

Rows growth_rows() {
  return {
      {.name = "growth",
       .question = "Which layers need the whole data, and which look the same after a tenth of it?",
       .cost = "time: n forward passes a network, then 256 n p per layer of p features; memory: "
               "256^2 L doubles a network",
       .work = 1500,
       .lacking = lacks_siblings,
       .run = growth_section},
  };
}

}  // namespace

const std::vector<Analysis>& analyses() {
  static const std::vector<Analysis> table = [] {
    Rows all;
    for (const auto rows : {similarity_rows, frequency_rows, reach_rows, rollout_rows, spatial_rows,
                            calibration_rows, loss_rows, growth_rows})
      std::ranges::move(rows(), std::back_inserter(all));
    return all;
  }();
  return table;
}

}  // namespace passband
