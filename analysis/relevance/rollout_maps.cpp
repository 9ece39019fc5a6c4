#include "analysis/relevance/rollout_maps.h"

#include <cmath>
#include <span>

#include "analysis/study/picture_maps.h"

namespace passband {
namespace {

// Of the maps of each picture; 1 where one of them is flat.
double mean_correlation(const RelevanceMaps& a, const RelevanceMaps& b) {
  const auto cells = static_cast<size_t>(a.height * a.width);
  double total = 0;
  for (size_t first = 0; first < a.values.size(); first += cells) {
    const double value = correlation(std::span(a.values).subspan(first, cells),
                                     std::span(b.values).subspan(first, cells));
    total += std::isfinite(value) ? value : 1;
  }
  return total / static_cast<double>(a.count);
}

}  // namespace

std::vector<RolloutSettings> settings_of(const std::vector<NamedRollout>& named) {
  std::vector<RolloutSettings> result;
  for (const NamedRollout& n : named) result.push_back(n.settings);
  return result;
}

RolloutSettings plain_settings(const RolloutOptions& options) {
  RolloutSettings settings;
  settings.attention.vit_explain = options.vit_explain;
  settings.convolution = options.convolution;
  return settings;
}

NamedRollout class_row(const RolloutClassOptions& options, RolloutRule rule) {
  RolloutSettings settings = plain_settings(options);
  settings.attention.rule = rule;
  settings.start = options.start;
  return {rule == RolloutRule::gradient ? "gradient" : "class-specific", settings};
}

std::vector<std::string> read_as(const Dataset& data, const std::vector<int64_t>& classes,
                                 const std::string& word) {
  std::vector<std::string> captions;
  for (const int64_t c : classes) captions.push_back(word + class_name(data, c));
  return captions;
}

plot::Figure class_figure(const AnalysisInput& input, const RolloutOptions& options, size_t s,
                          const std::string& stem, const std::string& title) {
  const std::vector<int64_t> indices = spread_indices(input.data->count, options.pictures);
  return picture_figure(*input.data, indices, input.subjects[s].model->options().image_size,
                        figure_name(stem, s), title + ", " + input.subjects[s].label + ".",
                        "relevance, relative to the largest");
}

double add_two_classes(const AnalysisInput& input, const RolloutOptions& options,
                       const Subject& subject, const NamedRollout& row, plot::Figure& figure) {
  const std::vector<int64_t> indices = spread_indices(input.data->count, options.pictures);
  const Tensor images = network_images(*subject.model, *input.data, indices);
  const std::vector<int64_t> first = classes_read(*subject.model, images),
                             second = classes_read(*subject.model, images, 1);
  const RelevanceMaps a = rollouts(*subject.model, images, {row.settings}, first)[0];
  const RelevanceMaps b = rollouts(*subject.model, images, {row.settings}, second)[0];
  add_map_row(figure, "class read", a.values, a.height, a.width,
              read_as(*input.data, first, "for "));
  add_map_row(figure, "runner-up", b.values, b.height, b.width,
              read_as(*input.data, second, "for "));
  mark_wrong(figure, *input.data, indices, first);
  return mean_correlation(a, b);
}

std::string convolution_caveat(const RolloutOptions& options) {
  const std::string by =
      options.convolution == ConvolutionStep::norms
          ? "Convolution blocks pass relevance by the norms of what they move (see rollout-norm)"
          : "Convolution blocks are taken to keep places, a coarser grid to spread its share "
            "evenly over the finer one below";
  return by + "; windows are blocks of the matrix, put back where they lie in the picture.";
}

std::string start_caveat(const RolloutClassOptions& options) {
  return options.start == RolloutStart::class_weighted
             ? "Relevance starts in the last layer at the places that speak for the class, by "
               "their share in its logit "
               "above the mean logit."
             : "Relevance starts where the classifier reads: the class token, or all places alike.";
}

}  // namespace passband
