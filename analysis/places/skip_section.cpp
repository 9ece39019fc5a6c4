#include "analysis/places/skip_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "analysis/places/skip.h"
#include "analysis/study/claims.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/finite.h"
#include "analysis/study/kind_points.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"
#include "tensor/autograd/node.h"

namespace passband {
namespace {

constexpr int64_t kSkipBatch = 128;

// Runs `visit` on batches of test pictures and their labels: of those that are this process's.
template <class Visit>
OwnPart for_batches(const Subject& subject, const Dataset& data, int64_t images, Visit&& visit) {
  const std::vector<int64_t> indices = spread_indices(data.count, images);
  const OwnPart part(std::ssize(indices));
  part.run_batches({subject.model.get()}, kSkipBatch, [&](int64_t first, int64_t count) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> chosen(begin, begin + count);
    visit(network_images(*subject.model, data, chosen), chosen);
  });
  return part;
}

// Which pictures are named rightly; the shortcuts named in `removed` carry zeros.
std::vector<bool> right_without(const Subject& subject, const Dataset& data, int64_t images,
                                const std::vector<std::string>& removed) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  const ProbeGuard probe({removed.empty() ? "" : "skip"},
                         [&](const TapSite& site, const Tensor& buffer) {
                           const bool gone = std::ranges::find(removed, site.path) != removed.end();
                           return gone ? Tensor::zeros_like(buffer) : buffer;
                         });
  std::vector<bool> right;
  const auto add = [&](const Tensor& batch, const std::vector<int64_t>& indices) {
    const Tensor logits = (*subject.model)(batch);
    if (removed.empty()) check_logits(*subject.model, batch, logits);
    const std::vector<int64_t> classes = classes_of(logits);
    for (size_t i = 0; i < indices.size(); ++i)
      right.push_back(classes[i] == data.labels[static_cast<size_t>(indices[i])]);
  };
  for_batches(subject, data, images, add).append(right);
  return right;
}

struct SkipStudy {
  DepthAxis axis;
  std::vector<SkipLayer> layers;
  double whole = 0;               // accuracy of the network as it is
  std::vector<double> without;    // accuracy without each layer's shortcut
  std::vector<Estimate> changes;  // what that is less, in points
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
  const OwnPart part = for_batches(subject, data, images, [&](const Tensor& batch, const auto&) {
    add_skips(*subject.model, batch, study.layers);
  });
  for (SkipLayer& layer : study.layers) layer.join(part);
  const std::vector<bool> whole = right_without(subject, data, images, {});
  study.whole = share_right(whole);
  const auto total = static_cast<int64_t>(study.layers.size());
  std::vector<std::string> block;  // shortcuts of the block so far
  for (int64_t l = 0; l < total; ++l) {
    const TapSite& site = study.layers[static_cast<size_t>(l)].site;
    study.axis.index_of(site);
    const std::vector<bool> right = right_without(subject, data, images, {site.path});
    study.without.push_back(share_right(right));
    study.changes.push_back(scaled(change_of_answers(whole, right), 100));
    const bool transformer = site.kind == BlockKind::mlp && !block.empty() &&
                             block_of(block.back()) == block_of(site.path);
    if (!transformer) block.clear();
    block.push_back(site.path);
    if (transformer) {
      study.blocks.push_back(static_cast<double>(l));
      study.without_blocks.push_back(share_right(right_without(subject, data, images, block)));
    }
    progress(l + 1, total, "shortcuts");
  }
  return study;
}

// What the network does without the shortcut it needs most, and without the one it needs least.
std::string removal_text(const SkipStudy& study) {
  const std::vector<std::string> labels = study.axis.labels();
  std::vector<Named> parts;
  for (size_t l = 0; l < study.changes.size(); ++l) parts.push_back({labels[l], study.changes[l]});
  const Ends ends = ends_of(parts);
  const auto one = [&](size_t l) {
    const Verdict verdict = judge(study.changes[l]);
    const char* word = verdict == Verdict::below   ? "falls"
                       : verdict == Verdict::above ? "rises"
                                                   : "stays within the counting error, going";
    return fmt::format("without the shortcut of {} accuracy {} from {} to {}", labels[l], word,
                       percent(study.whole), percent(study.without[l]));
  };
  if (ends.differ) return one(ends.least) + ", " + one(ends.most);
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

std::string finding(const std::string& label, const SkipStudy& study) {
  std::vector<double> ratios;
  for (const SkipLayer& layer : study.layers) ratios.push_back(layer.places.median_ratio());
  return fmt::format(
      "In {} the length of the shortcut divided by that of the branch is {} ({}, medians over "
      "places); "
      "{}{}.",
      label, together(ratios, [](double ratio) { return fmt::format("{:.2g}", ratio); }),
      counted(std::ssize(ratios), "block"), removal_text(study), class_token_text(study));
}

NetworkEffects length_effects(const std::string& network, const SkipStudy& study) {
  NetworkEffects effects{.network = network};
  const std::vector<std::string> labels = study.axis.labels();
  for (size_t l = 0; l < study.layers.size(); ++l)
    effects.parts.push_back(
        {study.axis[l].kind, labels[l], mean_of(finite_ones(study.layers[l].place_logs))});
  return effects;
}

NetworkEffects removal_effects(const std::string& network, const SkipStudy& study) {
  NetworkEffects effects{.network = network};
  const std::vector<std::string> labels = study.axis.labels();
  for (size_t l = 0; l < study.changes.size(); ++l)
    effects.parts.push_back({study.axis[l].kind, labels[l], study.changes[l]});
  return effects;
}

// Of every picture the mean over layers [begin, end) of what `value` gives of a layer's lists.
template <class Value>
std::vector<double> over_layers(const SkipStudy& study, size_t begin, size_t end, Value&& value) {
  std::vector<double> means(study.layers.front().place_logs.size());
  for (size_t l = begin; l < end; ++l)
    for (size_t n = 0; n < means.size(); ++n)
      means[n] += value(study.layers[l], n) / static_cast<double>(end - begin);
  return means;
}

// Raghu et al.: shortcuts carry most of what passes a block; of the class token in the lower half,
// of the places in the upper half.
void add_claims(const std::string& network, const SkipStudy& study, const NetworkEffects& removals,
                Section& section) {
  const size_t layers = study.layers.size(), half = layers / 2;
  const Estimate log = mean_of(finite_ones(
      over_layers(study, 0, layers, [](const SkipLayer& l, size_t n) { return l.place_logs[n]; })));
  add_claim(section,
            {.text = "Shortcuts carry more than what blocks add to them",
             .key = "length_ratio",
             .label = "Length of the shortcut over that of the branch, geometric mean over blocks",
             .side = Verdict::above,
             .reference = 1,
             .words = [](double v) { return fmt::format("{:.2f} times", v); }},
            network, {std::exp2(log.value), std::exp2(log.low), std::exp2(log.high)});
  add_claim(section,
            {.text = "Without one of its shortcuts it is right less often",
             .key = "removal_change",
             .label = "Change without one shortcut, mean over shortcuts",
             .side = Verdict::below,
             .words = [](double v) { return fmt::format("{:+.1f} points", v); }},
            network, mean_effect(removals));
  if (!has_class_token(study) || half == 0) return;
  const auto lead = [&](size_t begin, size_t end) {
    return over_layers(study, begin, end, [](const SkipLayer& l, size_t n) {
      return l.class_logs[n] - l.place_logs[n];
    });
  };
  std::vector<double> fall = lead(0, half);
  const std::vector<double> upper = lead(half, layers);
  for (size_t n = 0; n < fall.size(); ++n) fall[n] -= upper[n];
  add_claim(section,
            {.text = "The class token passes lower blocks by shortcuts, places the upper ones",
             .key = "class_token_fall",
             .label = "Lead of the class token over places in log2 of the ratio, lower half less "
                      "upper half of the blocks",
             .side = Verdict::above,
             .words = [](double v) { return fmt::format("{:+.2f}", v); }},
            network, mean_of(finite_ones(fall)));
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

// What blocks add beside what passes them, and what the latter is worth: one panel each.
plot::Figure blocks_figure(const std::vector<NetworkEffects>& lengths,
                           const std::vector<NetworkEffects>& removals) {
  plot::Figure figure =
      kind_figure("skip-change", "What passes each block by its shortcut, and what that is worth.",
                  {.label = "log₂ |shortcut| / |branch|"}, lengths, "equal lengths");
  const plot::Figure second =
      kind_figure("", "", {.label = "change without the shortcut", .unit = "points"}, removals);
  figure.panels.insert(figure.panels.end(), second.panels.begin(), second.panels.end());
  return figure;
}

}  // namespace

Section skip_section(const AnalysisInput& input) {
  const int64_t images = input.pictures(512);
  Section section;
  std::vector<NetworkEffects> lengths, removals;
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
    section.finding += (s > 0 ? " " : "") + finding(subject.label, study);
    lengths.push_back(length_effects(subject.label, study));
    removals.push_back(removal_effects(subject.label, study));
    add_claims(subject.label, study, removals.back(), section);
    ratio.panels.push_back(ratio_panel(study, subject.label + ", length"));
    ratio.panels.push_back(cosine_panel(study, subject.label + ", angle"));
    removal.panels.push_back(removal_panel(study, subject.label));
  }
  section.reading =
      "The first figure shows each block as a point, with its 95 % interval over pictures: how "
      "much longer what passes it is than what it adds, in doublings (above zero the shortcut "
      "carries "
      "more), and what becomes of the accuracy when the shortcut of the trained network is set to "
      "zero. Behind it for each token the length of what passes the block divided by the length of "
      "what the block adds: far above 1 the block changes little. Cosines compare the shortcut "
      "with the sum and with the branch. The "
      "bars show the trained "
      "network with one shortcut set to zero, dots with both of a transformer block: what only "
      "they carried is lost. "
      "Raghu et al. (2021) trained networks without the shortcuts of a block instead: train "
      "--model vit_tiny_patch4_noskip7, then compare by cka.";
  section.caveats = {
      fmt::format("{}. Where a block changes the shape the projected shortcut is measured; "
                  "sums are taken before the final ReLU of post-activation blocks.",
                  counted(images, "test picture"))};
  plot::Figure blocks = blocks_figure(lengths, removals);
  blocks.alt = ratio.alt = removal.alt = section.finding;
  if (!blocks.panels.empty()) section.figures.push_back(std::move(blocks));
  section.figures.push_back(std::move(ratio));
  section.figures.push_back(std::move(removal));
  return section;
}

}  // namespace passband
