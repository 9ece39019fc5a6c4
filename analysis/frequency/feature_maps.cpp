#include "analysis/frequency/feature_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/kind_words.h"
#include "analysis/study/verdict.h"

namespace passband {
namespace {

// Changes of `values` across blocks of a kind (value after minus value before).
std::vector<double> changes_of(const DepthAxis& axis, const std::vector<double>& values,
                               BlockKind kind) {
  std::vector<double> changes;
  for (size_t i = 1; i < axis.size(); ++i) {
    if (axis[i].kind != kind || axis[i].height != axis[i - 1].height) continue;
    if (std::isfinite(values[i] - values[i - 1])) changes.push_back(values[i] - values[i - 1]);
  }
  return changes;
}

// "lower it by 0.120 on average", "change it by -0.3 to +0.2"
std::string change_text(const std::vector<double>& changes) {
  const auto lowers = std::ranges::count_if(changes, [](double change) { return change < 0; });
  if (lowers != 0 && lowers != std::ssize(changes))
    return "change it by " +
           together(changes, [](double change) { return fmt::format("{:+.3f}", change); });
  std::vector<double> sizes;
  for (const double change : changes) sizes.push_back(std::abs(change));
  return (lowers > 0 ? "lower it by " : "raise it by ") +
         together(sizes, [](double size) { return fmt::format("{:.3f}", size); });
}

}  // namespace

std::string changes_by_kind(const DepthAxis& axis, const std::vector<double>& values) {
  std::string text;
  for (const auto& [kind, name] : kKindWords) {
    const std::vector<double> changes = changes_of(axis, values, kind);
    if (changes.empty()) continue;
    text += fmt::format("{}{} blocks {} ({} within a stage)", text.empty() ? "" : ", ", name,
                        change_text(changes), changes.size());
  }
  return text.empty() ? "no two layers share a resolution" : text;
}

std::vector<BlockChange> block_changes(const DepthAxis& axis,
                                       const std::vector<std::vector<double>>& pictures) {
  std::vector<BlockChange> changes;
  const std::vector<std::string> labels = axis.labels();
  for (size_t i = 1; i < axis.size(); ++i) {
    if (axis[i].height != axis[i - 1].height) continue;
    BlockChange change{.kind = axis[i].kind, .label = labels[i]};
    for (size_t n = 0; n < pictures[i].size(); ++n)
      change.pictures.push_back(pictures[i][n] - pictures[i - 1][n]);
    if (std::isfinite(mean_of(change.pictures).value)) changes.push_back(std::move(change));
  }
  return changes;
}

NetworkEffects effects_of(const std::string& network, const std::vector<BlockChange>& changes) {
  NetworkEffects effects{.network = network};
  for (const BlockChange& change : changes)
    effects.parts.push_back({change.kind, change.label, mean_of(change.pictures)});
  return effects;
}

Estimate change_of_kind(const std::vector<BlockChange>& changes, BlockKind kind) {
  std::vector<double> means;
  double blocks = 0;
  for (const BlockChange& change : changes) {
    if (change.kind != kind) continue;
    means.resize(change.pictures.size());
    for (size_t n = 0; n < means.size(); ++n) means[n] += change.pictures[n];
    blocks += 1;
  }
  for (double& mean : means) mean /= blocks;
  return mean_of(means);
}

plot::Panel against_depth(const DepthAxis& axis, const std::string& title, const std::string& y) {
  plot::Panel panel{
      .title = title, .x = {.label = "layer", .categories = axis.labels()}, .y = {.label = y}};
  panel.spans = axis.spans();
  return panel;
}

}  // namespace passband
