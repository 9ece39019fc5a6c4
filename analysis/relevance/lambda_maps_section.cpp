#include "analysis/relevance/lambda_maps_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/relevance/lambda_maps.h"
#include "analysis/relevance/layer_study.h"
#include "analysis/relevance/rollout.h"
#include "analysis/relevance/value_contributions.h"
#include "analysis/study/finite.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kLambdaBatch = 2, kShownLayers = 3, kShownPictures = 6;

using LambdaStudy = LayerStudy<LambdaWeights>;

// First, middle and last of `count` layers.
std::vector<size_t> some_of(size_t count) {
  if (count <= static_cast<size_t>(kShownLayers)) {
    std::vector<size_t> all(count);
    for (size_t i = 0; i < count; ++i) all[i] = i;
    return all;
  }
  return {0, count / 2, count - 1};
}

std::string lambda_finding(const std::string& label, const LambdaStudy& study) {
  std::vector<double> content, negative, reach;
  for (const LambdaWeights& sums : study.sums) {
    content.push_back(100 * sums.content_share());
    negative.push_back(100 * sums.negative_share());
    reach.push_back(sums.distance() / std::max(sums.uniform_distance(), 1e-12));
  }
  const auto percent = [](double share) { return fmt::format("{:.0f} %", share); };
  return fmt::format(
      "In {} of {}, of the squared weight {} comes from content, the rest from position; of the "
      "absolute weight {} is negative; the reach of |S| divided by that of equal weights is {}.",
      counted(std::ssize(study.sums), "lambda layer"), label, together(content, percent),
      together(negative, percent),
      together(reach, [](double ratio) { return fmt::format("{:.2f}", ratio); }));
}

// |S| of the query in the middle of the map, mean over heads: pictures x places.
std::vector<double> middle_query(const TapSite& site, const Tensor& weights) {
  const int64_t places = site.height * site.width, heads = weights.size(1);
  const int64_t query = site.height / 2 * site.width + site.width / 2;
  const std::vector<double> rows =
      reshape(slice(weights, 2, query, 1), Shape{weights.size(0), heads, places}).values();
  std::vector<double> maps(static_cast<size_t>(weights.size(0) * places));
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t picture = i / static_cast<size_t>(heads * places),
                 m = i % static_cast<size_t>(places);
    maps[picture * static_cast<size_t>(places) + m] +=
        std::abs(rows[i]) / static_cast<double>(heads);
  }
  return maps;
}

// Rows of |S| by content and by position for some layers.
void add_weight_rows(plot::Figure& figure, const Subject& subject, const Tensor& images,
                     const std::vector<size_t>& shown) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  Tensor weights;
  size_t layer = 0;
  const ProbeGuard probe({"lambda", "lambda_content"}, [&](const TapSite& site,
                                                           const Tensor& buffer) {
    if (site.name == "lambda") return weights = buffer;
    if (std::ranges::find(shown, layer) != shown.end()) {
      const std::string path = site.path.substr(0, site.path.rfind('.'));
      add_map_row(figure, path + " content", middle_query(site, buffer), site.height, site.width);
      const Tensor position = weights - buffer;
      add_map_row(figure, path + " position", middle_query(site, position), site.height,
                  site.width);
    }
    ++layer;
    return buffer;
  });
  finite_logits(*subject.model, images);
}

void add_contribution_rows(plot::Figure& figure, const Subject& subject, const Tensor& images,
                           const std::vector<size_t>& shown) {
  const std::vector<ValueContributions> layers = value_contributions(
      *subject.model, images, classes_read(*subject.model, images), "lambda_values");
  for (const size_t l : shown) {
    std::vector<double> positive = layers[l].values;
    for (double& value : positive) value = std::max(value, 0.0);
    add_map_row(figure, layers[l].site.path.substr(0, layers[l].site.path.rfind('.')) + " to class",
                positive, layers[l].site.height, layers[l].site.width);
  }
}

std::vector<std::string> layer_names(const DepthAxis& axis) {
  std::vector<std::string> names;
  for (const TapSite& site : axis.sites()) {
    const size_t dot = site.path.rfind('.');
    names.push_back(site.path.substr(0, dot));
  }
  return names;
}

plot::Panel share_panel(const LambdaStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "lambda layer", .categories = layer_names(study.axis)},
                    .y = {.label = "share", .low = 0.0, .high = 1.0}};
  plot::Line content{.name = "content (of squared weight)", .x = study.axis.positions()};
  plot::Line negative{.name = "negative (of absolute weight)", .x = study.axis.positions()};
  for (const LambdaWeights& sums : study.sums) {
    content.y.push_back(sums.content_share());
    negative.y.push_back(sums.negative_share());
  }
  panel.lines = {std::move(content), std::move(negative)};
  return panel;
}

plot::Panel distance_panel(const LambdaStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "lambda layer", .categories = layer_names(study.axis)},
                    .y = {.label = "mean distance by |S|", .unit = "px", .from_zero = true}};
  plot::Line measured{.name = "|S|", .x = study.axis.positions()};
  plot::Line uniform{.name = "equal weights", .x = study.axis.positions(), .style = 1};
  for (const LambdaWeights& sums : study.sums) {
    measured.y.push_back(sums.distance());
    uniform.y.push_back(sums.uniform_distance());
  }
  panel.lines = {std::move(measured), std::move(uniform)};
  return panel;
}

}  // namespace

Section lambda_maps_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(16);
  Section section;
  plot::Figure depth{.name = "lambda-shares",
                     .title = "Effective weights of lambda layers.",
                     .columns = 2,
                     .share_axes = false};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const LambdaStudy study = study_layers<LambdaWeights>(
        subject, *input.data,
        {.images = images, .batch_size = kLambdaBatch, .progress = input.part_of(s)}, "lambda",
        "lambda_content");
    section.values.push_back({.key = "content_share",
                              .label = "Content in the first lambda layer",
                              .value = study.sums.front().content_share(),
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") + lambda_finding(subject.label, study);
    const std::vector<int64_t> indices = spread_indices(input.data->count, kShownPictures);
    const Tensor pictures = network_images(*subject.model, *input.data, indices);
    const std::vector<size_t> shown = some_of(study.sums.size());
    plot::Figure figure = picture_figure(
        *input.data, indices, subject.model->options().image_size, figure_name("lambda-maps", s),
        "Weights of the middle query, and contributions to the class, " + subject.label + ".",
        "relative to the largest");
    add_weight_rows(figure, subject, pictures, shown);
    add_contribution_rows(figure, subject, pictures, shown);
    mark_wrong(figure, *input.data, indices, classes_read(*subject.model, pictures));
    figure.alt = lambda_finding(subject.label, study);
    section.figures.push_back(std::move(figure));
    depth.panels.push_back(share_panel(study, subject.label + ", shares"));
    depth.panels.push_back(distance_panel(study, subject.label + ", reach"));
  }
  section.reading =
      "A lambda layer has no attention map: its effective weights S = q (softmax(k) + E) are "
      "signed and their rows do not "
      "sum to 1, so they are no shares and cannot be multiplied into a rollout. Shown instead: the "
      "size |S| of what the "
      "middle place reads, by content (keys) and by position (embedding), mean over heads; and "
      "each place's contribution "
      "to the class, the product of its values with their gradient (positive part), which adds up "
      "exactly over places.";
  section.caveats = {fmt::format("Statistics over {}. The bias that some lambda "
                                 "layers add to every position is left out.",
                                 counted(images, "test picture")),
                     "The size of a weight is not the size of an effect: channels of a head share "
                     "S, and signs cancel."};
  depth.alt = section.finding;
  section.figures.push_back(std::move(depth));
  return section;
}

}  // namespace passband
