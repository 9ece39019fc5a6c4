#include "analysis/relevance/relevance.h"

#include <fmt/format.h>

#include "analysis/relevance/channel_rollout_section.h"
#include "analysis/relevance/hydra_maps_section.h"
#include "analysis/relevance/lambda_maps_section.h"
#include "analysis/relevance/rollout_class_section.h"
#include "analysis/relevance/rollout_gradient_section.h"
#include "analysis/relevance/rollout_norm_section.h"
#include "analysis/relevance/rollout_section.h"

namespace passband {
namespace {

const Option<RolloutOptions> kPictures = {"pictures", &RolloutOptions::pictures, "pictures shown"};
const Option<RolloutOptions> kDiscard = {
    "discard", &RolloutOptions::discard,
    "share of the smallest entries that the row 'discard' sets to 0"};
const Option<RolloutOptions> kConvolution = {
    "convolution",
    &RolloutOptions::convolution,
    "how relevance passes a convolution block: by the norms of what it moves, or keeping its place",
    {{"norms", ConvolutionStep::norms}, {"area", ConvolutionStep::area}}};
const Option<RolloutOptions> kDefinition = {
    "definition",
    &RolloutOptions::vit_explain,
    "vit_explain: normalise and discard as that script does",
    {{"exact", false}, {"vit_explain", true}}};
const OptionTable kClassOptions = options_of<RolloutClassOptions>(
    {kPictures,
     kDiscard,
     kConvolution,
     kDefinition,
     {"start",
      &RolloutClassOptions::start,
      "where relevance starts when the network averages over places: by their share in the class, "
      "or all alike",
      {{"class_weighted", RolloutStart::class_weighted}, {"read", RolloutStart::read}}}});

std::string without_scores(const Subject& subject) {
  const Model& model = *subject.model;
  if (model.has(BlockKind::lambda))
    return subject.label +
           " mixes places by lambda layers. Their effective weights are signed, differ from 1 in "
           "sum and come without a softmax over places, so products of them are no shares of "
           "relevance: see lambda-maps for the weights themselves and rollout-norm for what every "
           "block moves.";
  if (model.has(BlockKind::parallel))
    return subject.label +
           " mixes places by attention and by a convolution beside it at once, of which a rollout "
           "would see the first alone: see rollout-norm for what every block moves.";
  if (model.has(BlockKind::hydra))
    return subject.label +
           " mixes places by Hydra attention, with a signed map for every channel: products of "
           "their mean are no shares of relevance. See hydra-maps for the maps, beside what such a "
           "rollout would draw, and rollout-norm for what every block moves.";
  if (!model.has(BlockKind::msa))
    return fmt::format(
        "{} has no attention layer to roll out: rollout-norm carries relevance through its {}.",
        subject.label,
        model.has(BlockKind::token_mlp) ? "MLPs over tokens" : "convolutions and poolings");
  return "";
}

std::string without_hydra(const Subject& subject) {
  return subject.model->has(BlockKind::hydra)
             ? ""
             : subject.label + " has no Hydra attention: see rollout-norm.";
}

std::string without_lambda(const Subject& subject) {
  return subject.model->has(BlockKind::lambda)
             ? ""
             : subject.label + " has no lambda layer: see rollout-norm.";
}

// Forward passes that the maps of one picture cost: convolution blocks are measured on 25 to 49
// copies, with their gradients.
double map_work(const RolloutOptions& options) {
  return options.convolution == ConvolutionStep::norms ? 150 : 5;
}

double rollout_work(const AnalysisInput& input, const RolloutOptions& options) {
  return map_work(options) * static_cast<double>(input.pictures(32) + options.pictures);
}

double rollout_gradient_work(const AnalysisInput&, const RolloutClassOptions& options) {
  return 2 * map_work(options) * static_cast<double>(options.pictures);
}

double rollout_class_work(const AnalysisInput& input, const RolloutClassOptions& options) {
  return (map_work(options) + 80) * static_cast<double>(input.pictures(64)) +
         2 * map_work(options) * static_cast<double>(options.pictures);
}

double rollout_norm_work(const AnalysisInput& input) {
  return 1000 * static_cast<double>(input.pictures(8));
}

double channel_rollout_work(const AnalysisInput& input, const ChannelRolloutOptions& options) {
  return 1250 * static_cast<double>(input.pictures(4) * options.groups);
}

double hydra_maps_work(const AnalysisInput& input) {
  return 2 * static_cast<double>(input.pictures(64));
}

double lambda_maps_work(const AnalysisInput& input) {
  return 12 * static_cast<double>(input.pictures(16));
}

const std::vector<Analysis> kRelevanceTable = {
    {.name = "rollout",
     .title = "Attention rollout",
     .question = "Which parts of a picture does attention carry to the decision?",
     .cost = "time: n forward passes, T^2 per attention layer of T tokens, 25 to 49 copies of a "
             "picture for convolution blocks; memory: T^2 h per layer of h heads for 8 pictures",
     .work = rollout_work,
     .options = options_of<RolloutOptions>({kPictures, kDiscard, kConvolution, kDefinition}),
     .unsuited = without_scores,
     .run = rollout_section},
    {.name = "rollout-gradient",
     .title = "Gradient rollout",
     .question = "Which attention raises the logit of the class, followed down to the picture?",
     .cost = "time: as rollout for the pictures shown, and a backward pass for each of two "
             "classes; memory: as rollout, and the graph of the pictures shown",
     .work = rollout_gradient_work,
     .options = kClassOptions,
     .unsuited = without_scores,
     .run = rollout_gradient_section},
    {.name = "rollout-class",
     .title = "Class-specific relevance",
     .question =
         "Which parts of a picture speak for a class, and does hiding them change the answer?",
     .cost = "time: as rollout with a backward pass for n pictures, and 80 forward passes per "
             "picture to test the maps; memory: as rollout, and the graph of 8 pictures",
     .work = rollout_class_work,
     .options = kClassOptions,
     .unsuited = without_scores,
     .run = rollout_class_section},
    {.name = "rollout-norm",
     .title = "What every block moves",
     .question = "How far does a block, of whatever kind, carry information, and from where does "
                 "the decision gather?",
     .cost =
         "time: per picture T copies for each attention or lambda layer of T tokens, 25 to 49 for "
         "convolutions, 3 backward passes each; memory: T^2 per layer and the graphs of 32 copies",
     .work = rollout_norm_work,
     .run = rollout_norm_section},
    {.name = "channel-rollout",
     .title = "Rollout over space and channels",
     .question = "Through which channels, and not only which places, does the decision gather?",
     .cost = "time: rollout-norm times the number of channel groups g; memory: (T g)^2 per layer "
             "of T places",
     .quick = false,
     .work = channel_rollout_work,
     .options = options_of<ChannelRolloutOptions>(
         {{"groups", &ChannelRolloutOptions::groups,
           "equal groups of neighbouring channels; must divide every block's width"},
          {"start",
           &ChannelRolloutOptions::for_class,
           "what the last layer's relevance is: shares in the class, or lengths",
           {{"class", true}, {"norm", false}}}}),
     .run = channel_rollout_section},
    {.name = "lambda-maps",
     .title = "What lambda layers connect",
     .question = "Do lambda layers mix places by content or by position, and which places speak "
                 "for the class?",
     .cost = "time: n forward passes with weights made real, h T^2 per lambda layer of h heads "
             "over T places; memory: the h T^2 of one batch and layer",
     .work = lambda_maps_work,
     .unsuited = without_lambda,
     .run = lambda_maps_section},
    {.name = "hydra-maps",
     .title = "What Hydra attention mixes",
     .question = "What do the channels of Hydra attention read, and which places speak for the "
                 "class?",
     .cost = "time: n forward passes, T D per layer of T places and D channels; memory: T D per "
             "layer, and T^2 for each picture shown",
     .work = hydra_maps_work,
     .unsuited = without_hydra,
     .run = hydra_maps_section},
};

}  // namespace

const std::vector<Analysis>& relevance_wing() { return kRelevanceTable; }

}  // namespace passband
