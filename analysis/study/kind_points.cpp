#include "analysis/study/kind_points.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/depth_axis.h"
#include "analysis/study/kind_words.h"

namespace passband {
namespace {

constexpr double kWidth = 0.84;  // of what a kind takes of the axis

std::vector<const PartEffect*> parts_of(const NetworkEffects& network, BlockKind kind) {
  std::vector<const PartEffect*> parts;
  for (const PartEffect& part : network.parts)
    if (part.kind == kind && std::isfinite(part.effect.value)) parts.push_back(&part);
  return parts;
}

void add_points(const std::vector<const PartEffect*>& parts, double begin, double width,
                plot::Points& points) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto place = (static_cast<double>(i) + 0.5) / static_cast<double>(parts.size());
    points.x.push_back(begin + width * place);
    points.y.push_back(parts[i]->effect.value);
    points.low.push_back(parts[i]->effect.low);
    points.high.push_back(parts[i]->effect.high);
    points.labels.push_back(parts[i]->label);
  }
}

}  // namespace

Estimate mean_effect(const NetworkEffects& effects, std::optional<BlockKind> kind) {
  double value = 0, half = 0, parts = 0;
  for (const PartEffect& part : effects.parts) {
    if ((kind && part.kind != *kind) || !std::isfinite(part.effect.value)) continue;
    value += part.effect.value;
    half += (part.effect.high - part.effect.low) / 2;
    parts += 1;
  }
  return parts > 0 ? Estimate::within(value / parts, half / parts) : Estimate{};
}

plot::Figure kind_figure(const std::string& name, const std::string& title, const plot::Axis& y,
                         const std::vector<NetworkEffects>& networks, const std::string& zero) {
  plot::Panel panel{.y = y};
  panel.references = {{plot::Reference::Along::horizontal, 0, zero}};
  panel.height = 300;
  for (size_t s = 0; s < networks.size(); ++s)
    panel.points.push_back({.name = networks[s].network, .style = static_cast<int>(s)});
  const double width = kWidth / static_cast<double>(std::max<size_t>(1, networks.size()));
  for (const auto& [kind, word] : kKindWords) {
    std::vector<std::vector<const PartEffect*>> parts;
    bool any = false;
    for (const NetworkEffects& network : networks) {
      parts.push_back(parts_of(network, kind));
      any = any || !parts.back().empty();
    }
    if (!any) continue;
    const auto at = static_cast<double>(panel.x.categories.size());
    panel.x.categories.emplace_back(word);
    TapSite site;
    site.kind = kind;
    panel.spans.push_back({at - 0.5, at + 0.5, figure_kind(site), word});
    for (size_t s = 0; s < networks.size(); ++s)
      add_points(parts[s], at - kWidth / 2 + width * static_cast<double>(s), width,
                 panel.points[s]);
  }
  plot::Figure figure{.name = name, .title = title};
  if (panel.x.categories.empty()) return figure;
  figure.panels.push_back(std::move(panel));
  return figure;
}

}  // namespace passband
