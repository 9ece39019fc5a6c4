#include "analysis/frequency/feature_maps.h"

#include <fmt/format.h>

#include <cmath>

namespace passband {
namespace {

// Mean change of `values` across blocks of a kind (value after minus value before).
double mean_change(const DepthAxis& axis, const std::vector<double>& values, plot::Kind kind,
                   int64_t& count) {
  double total = 0;
  count = 0;
  for (size_t i = 1; i < axis.size(); ++i) {
    if (figure_kind(axis[i]) != kind || axis[i].height != axis[i - 1].height) continue;
    if (!std::isfinite(values[i] - values[i - 1])) continue;
    total += values[i] - values[i - 1];
    ++count;
  }
  return count > 0 ? total / static_cast<double>(count) : 0;
}

}  // namespace

std::string changes_by_kind(const DepthAxis& axis, const std::vector<double>& values) {
  const std::pair<plot::Kind, const char*> kinds[] = {
      {plot::Kind::attention, "MSA blocks"},
      {plot::Kind::convolution, "convolution blocks"},
      {plot::Kind::mlp, "MLP blocks"},
      {plot::Kind::lambda, "lambda blocks"}};
  std::string text;
  for (const auto& [kind, name] : kinds) {
    int64_t count = 0;
    const double change = mean_change(axis, values, kind, count);
    if (count == 0) continue;
    text +=
        fmt::format("{}{} {} it by {:.3f} on average ({} within a stage)", text.empty() ? "" : ", ",
                    name, change < 0 ? "lower" : "raise", std::abs(change), count);
  }
  return text.empty() ? "no two layers share a resolution" : text;
}

plot::Panel against_depth(const DepthAxis& axis, const std::string& title, const std::string& y) {
  plot::Panel panel{
      .title = title, .x = {.label = "layer", .categories = axis.labels()}, .y = {.label = y}};
  panel.spans = axis.spans();
  return panel;
}

}  // namespace passband
