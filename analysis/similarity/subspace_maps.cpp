#include "analysis/similarity/subspace_maps.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/core/parallel.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

using Factors = std::vector<FactoredFeatures>;  // by layer

SubspaceMap map_of(const DepthAxis& rows, const Factors& x, const DepthAxis& columns,
                   const Factors& y, const SubspaceOptions& options) {
  SubspaceMap map{rows, columns, std::vector<SubspaceSimilarity>(x.size() * y.size())};
  const auto cells = static_cast<int64_t>(map.cells.size());
  for_each_index(cells, [&](int64_t c) {
    const auto cell = static_cast<size_t>(c);
    map.cells[cell] =
        compare(x[cell / y.size()], y[cell % y.size()], options.svcca_share, options.svcca_of);
  });
  return map;
}

// No columns: a layer that was refused, which reads like a dead one.
FactoredFeatures factored(const FeatureRows& rows, int64_t first, int64_t width, bool centre) {
  if (width == 0) return {};
  return factor(centre ? rows.centred(first, width) : rows.uncentred(first, width));
}

}  // namespace

LayerMap SubspaceMap::of(double SubspaceSimilarity::*value) const {
  LayerMap map{rows, columns, {}};
  for (const SubspaceSimilarity& cell : cells) map.values.push_back(cell.*value);
  return map;
}

SubspaceMaps::SubspaceMaps(size_t networks, FeatureView view, int64_t images)
    : view_(view), images_(images), axes_(networks), layers_(networks) {}

void SubspaceMaps::visit(size_t network, const TapSite& site, const Tensor& buffer) {
  const size_t i = axes_[network].index_of(site);
  layers_[network].resize(axes_[network].size());
  Layer& layer = layers_[network][i];
  const Tensor features = view_features(site, buffer, view_);
  layer.refusal = why_not_cca(features.size(1), images_);
  if (!layer.refusal.empty()) return;
  layer.first = width_;
  layer.width = features.size(1);
  width_ += layer.width;
  batch_.push_back(features);
}

void SubspaceMaps::finish_batch() {
  if (!batch_.empty()) rows_.add(concat(batch_, 1));
  batch_.clear();
  width_ = 0;
}

void SubspaceMaps::finish(const SubspaceOptions& options, const Progress& progress) {
  std::vector<Factors> factors(layers_.size());
  const auto networks = static_cast<int64_t>(layers_.size());
  for (size_t s = 0; s < layers_.size(); ++s) {
    const Progress part = progress.part(static_cast<int64_t>(s), networks);
    const auto count = static_cast<int64_t>(layers_[s].size());
    for (const Layer& layer : layers_[s]) {
      part(static_cast<int64_t>(factors[s].size()), count + 1, "layers");
      factors[s].push_back(
          factored(rows_, layer.first, layer.refusal.empty() ? layer.width : 0, options.centre));
    }
    part(count, count + 1, "layers");
    self_.push_back(map_of(axes_[s], factors[s], axes_[s], factors[s], options));
    if (s > 0) cross_.push_back(map_of(axes_[0], factors[0], axes_[s], factors[s], options));
  }
}

std::string SubspaceMaps::refusals(const std::vector<Subject>& subjects) const {
  std::string text;
  for (size_t s = 0; s < layers_.size(); ++s) {
    const std::vector<std::string> labels = axes_[s].labels();
    for (size_t i = 0; i < labels.size(); ++i)
      if (!layers_[s][i].refusal.empty())
        text += fmt::format("{}{} {}: {}", text.empty() ? "Refused: " : "; ", subjects[s].label,
                            labels[i], layers_[s][i].refusal);
  }
  return text.empty() ? text : text + ".";
}

int64_t SubspaceMaps::widest() const {
  int64_t widest = 0;
  for (const auto& layers : layers_)
    for (const Layer& layer : layers) widest = std::max(widest, layer.width);
  return widest;
}

}  // namespace passband
