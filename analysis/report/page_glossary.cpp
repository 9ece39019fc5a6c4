// Words that the sections use, in a sentence each.
#include <fmt/format.h>

#include <utility>

#include "analysis/report/page_parts.h"

namespace passband {
namespace {

constexpr std::pair<std::string_view, std::string_view> kGlossary[] = {
    {"Ablation, lesion", "Taking a part out of a trained network to see what is lost without it."},
    {"Attention",
     "A mean over places whose weights the network computes from what stands there: "
     "softmax of queries times keys, applied to values."},
    {"Block",
     "The unit that a network repeats: what mixes places (convolution, attention or a "
     "lambda layer), around it a shortcut, norms and often an MLP."},
    {"Calibration", "Whether answers given with 80 % confidence are right in 80 % of the cases."},
    {"CKA",
     "Centred kernel alignment: 1 where two layers find the same pictures alike, 0 where "
     "their likenesses have nothing in common."},
    {"Class token",
     "A token that is no place of the picture, from which some transformers read "
     "the class."},
    {"Confidence", "The probability that the network gives to the class it names."},
    {"Convolution",
     "A sum over a window of neighbours with weights that are learned and the same "
     "at every place."},
    {"Feature map", "What a layer puts out: a grid of places with a number for each channel."},
    {"Fourier transform",
     "A picture or map as a sum of waves. Low frequencies carry areas, high "
     "ones edges and grain."},
    {"Head",
     "One of several attentions that a layer computes side by side, each on channels of "
     "its own."},
    {"Hessian",
     "The matrix of second derivatives of the loss; its eigenvalues say how sharply "
     "the loss bends."},
    {"95 % interval",
     "A range made so that, over many repetitions with other pictures, 95 of 100 "
     "such ranges hold the true number. Another seed of training is another "
     "matter."},
    {"Lambda layer",
     "A layer that turns the surroundings into a small linear map and applies it "
     "to each query, without a softmax over places."},
    {"Logit", "The number that the network gives to a class before they are made probabilities."},
    {"Low-pass, high-pass",
     "A filter that keeps the low frequencies and damps the high ones, or "
     "the other way round."},
    {"Receptive field", "The part of the picture that a place of a layer responds to."},
    {"Residual branch, shortcut",
     "A block adds what its branch computes to what passes by it on "
     "the shortcut."},
    {"Rollout",
     "Attention of all layers multiplied into one map of where the answer gathers "
     "from."},
    {"Stage", "The blocks between two reductions of the resolution."},
};
static_assert(std::size(kGlossary) == 20);

}  // namespace

void append_glossary(std::string& out) {
  out += small_section("run glossary", "page-glossary", "Glossary");
  out += "<dl>\n";
  for (const auto& [term, meaning] : kGlossary)
    out +=
        fmt::format("<div><dt><dfn>{}</dfn></dt><dd>{}</dd></div>\n", prose(term), prose(meaning));
  out += "</dl>\n</section>\n";
}

}  // namespace passband
