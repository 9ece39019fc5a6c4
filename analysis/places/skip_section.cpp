#include "analysis/places/skip_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "analysis/places/skip.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/finite.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"
#include "tensor/autograd/node.h"

namespace passband {
namespace {

constexpr int64_t kSkipBatch = 128;

// Runs `visit` on batches of test pictures and their labels.
template <class Visit>
void for_batches(const Subject& subject, const Dataset& data, int64_t images, Visit&& visit) {
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t first = 0; first < total; first += kSkipBatch) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + std::min(kSkipBatch, total - first));
    visit(network_images(*subject.model, data, chosen), chosen);
  }
}

// Share of right answers; the shortcuts named in `removed` carry zeros.
double accuracy_without(const Subject& subject, const Dataset& data, int64_t images,
                        const std::vector<std::string>& removed) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  const ProbeGuard probe({removed.empty() ? "" : "skip"},
                         [&](const TapSite& site, const Tensor& buffer) {
                           const bool gone = std::ranges::find(removed, site.path) != removed.end();
                           return gone ? Tensor::zeros_like(buffer) : buffer;
                         });
  double right = 0, total = 0;
  for_batches(subject, data, images, [&](const Tensor& batch, const std::vector<int64_t>& indices) {
    const Tensor logits = (*subject.model)(batch);
    if (removed.empty()) check_logits(*subject.model, batch, logits);
    const std::vector<int64_t> classes = classes_of(logits);
    for (size_t i = 0; i < indices.size(); ++i)
      right += classes[i] == data.labels[static_cast<size_t>(indices[i])];
    total += static_cast<double>(indices.size());
  });
  return right / total;
}

struct SkipStudy {
  DepthAxis axis;
  std::vector<SkipLayer> layers;
  double whole = 0;             // accuracy of the network as it is
  std::vector<double> without;  // accuracy without each layer's shortcut
  // without all of a block that has several: last layer, accuracy
  std::vector<double> blocks, without_blocks;
};

// "blocks.2.msa.skip": "blocks.2"
std::string_view block_of(std::string_view path) {
  const size_t name = path.rfind('.');
  const size_t part = name == path.npos || name == 0 ? name : path.rfind('.', name - 1);
  return part == path.npos ? path : path.substr(0, part);
}

SkipStudy measure_shortcuts(const Subject& subject, const Dataset& data, int64_t images,
                            const Progress& progress) {
  SkipStudy study;
  for_batches(subject, data, images, [&](const Tensor& batch, const auto&) {
    add_skips(*subject.model, batch, study.layers);
  });
  study.whole = accuracy_without(subject, data, images, {});
  const auto total = static_cast<int64_t>(study.layers.size());
  std::vector<std::string> block;  // shortcuts of the block so far
  for (int64_t l = 0; l < total; ++l) {
    const TapSite& site = study.layers[static_cast<size_t>(l)].site;
    study.axis.index_of(site);
    study.without.push_back(accuracy_without(subject, data, images, {site.path}));
    const bool transformer = site.kind == BlockKind::mlp && !block.empty() &&
                             block_of(block.back()) == block_of(site.path);
    if (!transformer) block.clear();
    block.push_back(site.path);
    if (transformer) {
      study.blocks.push_back(static_cast<double>(l));
      study.without_blocks.push_back(accuracy_without(subject, data, images, block));
    }
    progress(l + 1, total, "shortcuts");
  }
  return study;
}

// What the network does without the shortcut it needs most, and without the one it needs least.
std::string removal_text(const SkipStudy& study, double pictures) {
  const std::vector<std::string> labels = study.axis.labels();
  std::vector<Named> parts;
  for (size_t l = 0; l < study.without.size(); ++l)
    parts.push_back({labels[l], share_of(study.without[l] * pictures, pictures)});
  const Ends ends = ends_of(parts);
  const Estimate whole = share_of(study.whole * pictures, pictures);
  const auto one = [&](const Named& part) {
    const Verdict verdict = judge(difference(part.estimate, whole));
    const char* word = verdict == Verdict::below   ? "falls"
                       : verdict == Verdict::above ? "rises"
                                                   : "stays within the counting error, going";
    return fmt::format("without the shortcut of {} accuracy {} from {} to {}", part.name, word,
                       percent(study.whole), percent(part.estimate.value));
  };
  if (ends.differ) return one(parts[ends.least]) + ", " + one(parts[ends.most]);
  return fmt::format(
      "no shortcut is needed more than another within the counting error (accuracy {} with all, {} "
      "without one)",
      percent(study.whole), range_text(study.without, percent));
}

bool has_class_token(const SkipStudy& study) {
  return study.layers.back().class_token.tokens() > 0;
}

std::string class_token_text(const SkipStudy& study) {
  if (!has_class_token(study)) return {};
  const size_t half = study.layers.size() / 2;
  double early = 0, late = 0;
  for (size_t l = 0; l < study.layers.size(); ++l)
    (l < half ? early : late) +=
        study.layers[l].class_token.ratio() > study.layers[l].places.ratio();
  return fmt::format(
      "; the class token keeps more by its shortcut than places do in {:.0f} of the {} lower and "
      "{:.0f} of the {} upper blocks",
      early, half, late, study.layers.size() - half);
}

std::string finding(const std::string& label, const SkipStudy& study, double pictures) {
  std::vector<double> ratios;
  for (const SkipLayer& layer : study.layers) ratios.push_back(layer.places.median_ratio());
  return fmt::format(
      "In {} the length of the shortcut divided by that of the branch is {} ({}, medians over "
      "places); "
      "{}{}.",
      label, together(ratios, [](double ratio) { return fmt::format("{:.2g}", ratio); }),
      counted(std::ssize(ratios), "block"), removal_text(study, pictures), class_token_text(study));
}

template <class Value>
plot::Line line_of(const SkipStudy& study, const std::string& name, Value&& value) {
  plot::Line line{.name = name, .x = study.axis.positions()};
  for (const SkipLayer& layer : study.layers) line.y.push_back(value(layer));
  return line;
}

plot::Panel depth_panel(const SkipStudy& study, const std::string& title, plot::Axis y) {
  plot::Panel panel{.title = title,
                    .x = {.label = "block", .categories = study.axis.labels()},
                    .y = std::move(y)};
  panel.spans = study.axis.spans();
  return panel;
}

plot::Panel ratio_panel(const SkipStudy& study, const std::string& title) {
  plot::Panel panel =
      depth_panel(study, title, {.label = "|shortcut| / |branch|", .from_zero = true});
  panel.lines = {
      line_of(study, "places, mean", [](const SkipLayer& l) { return l.places.ratio(); }),
      line_of(study, "places, median", [](const SkipLayer& l) { return l.places.median_ratio(); })};
  if (has_class_token(study))
    panel.lines.push_back(line_of(study, "class token, mean",
                                  [](const SkipLayer& l) { return l.class_token.ratio(); }));
  panel.references = {{plot::Reference::Along::horizontal, 1, "equal"}};
  return panel;
}

plot::Panel cosine_panel(const SkipStudy& study, const std::string& title) {
  plot::Panel panel = depth_panel(study, title, {.label = "cosine", .low = -1.0, .high = 1.0});
  panel.lines = {
      line_of(study, "shortcut, sum", [](const SkipLayer& l) { return l.places.cosine_output(); }),
      line_of(study, "shortcut, branch",
              [](const SkipLayer& l) { return l.places.cosine_branch(); })};
  return panel;
}

plot::Panel removal_panel(const SkipStudy& study, const std::string& title) {
  plot::Panel panel =
      depth_panel(study, title, {.label = "accuracy without it", .low = 0.0, .high = 1.0});
  plot::Bars bars{.x = study.axis.positions(), .y = study.without};
  for (const TapSite& site : study.axis.sites()) bars.kinds.push_back(figure_kind(site));
  panel.bars = {std::move(bars)};
  if (!study.blocks.empty())
    panel.points = {{.name = "both of the block", .x = study.blocks, .y = study.without_blocks}};
  panel.references = {{plot::Reference::Along::horizontal, study.whole, "whole network"}};
  return panel;
}

}  // namespace

Section skip_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(512);
  Section section;
  plot::Figure ratio{.name = "skip-ratio",
                     .title = "Length of the shortcut relative to the branch, and their angle.",
                     .columns = 2,
                     .share_axes = false};
  plot::Figure removal{.name = "skip-removal",
                       .title = "Accuracy after removing one shortcut, without retraining."};
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const SkipStudy study = measure_shortcuts(subject, *input.data, images, input.part_of(s));
    const double worst = *std::ranges::min_element(study.without);
    section.values.push_back({.key = "worst_removal",
                              .label = "Accuracy without the most needed shortcut",
                              .value = worst,
                              .text = fmt::format("{:.1f} %", 100 * worst),
                              .subject = subject.label});
    section.finding += (s > 0 ? " " : "") +
                       finding(subject.label, study, static_cast<double>(input.pictures(512)));
    ratio.panels.push_back(ratio_panel(study, subject.label + ", length"));
    ratio.panels.push_back(cosine_panel(study, subject.label + ", angle"));
    removal.panels.push_back(removal_panel(study, subject.label));
  }
  section.reading =
      "For each token the length of what passes the block divided by the length of what the block "
      "adds: far above 1 the "
      "block changes little. Cosines compare the shortcut with the sum and with the branch. The "
      "bars show the trained "
      "network with one shortcut set to zero, dots with both of a transformer block: what only "
      "they carried is lost. "
      "Raghu et al. (2021) trained networks without the shortcuts of a block instead: train "
      "--model vit_tiny_patch4_noskip7, then compare by cka.";
  section.caveats = {
      fmt::format("{}. Where a block changes the shape the projected shortcut is measured; "
                  "sums are taken before the final ReLU of post-activation blocks.",
                  counted(images, "test picture"))};
  ratio.alt = removal.alt = section.finding;
  section.figures = {std::move(ratio), std::move(removal)};
  return section;
}

}  // namespace passband
