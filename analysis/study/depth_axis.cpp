#include "analysis/study/depth_axis.h"

#include <algorithm>

namespace passband {

plot::Kind figure_kind(const TapSite& site) {
  switch (site.kind) {
    case BlockKind::msa:
    case BlockKind::hydra: return plot::Kind::attention;
    case BlockKind::conv: return plot::Kind::convolution;
    case BlockKind::lambda: return plot::Kind::lambda;
    case BlockKind::mlp:
    case BlockKind::token_mlp: return plot::Kind::mlp;
    case BlockKind::downsample: return plot::Kind::subsampling;
    case BlockKind::stem:
    case BlockKind::embedding:
    case BlockKind::norm:
    case BlockKind::head: break;
  }
  return plot::Kind::other;
}

size_t DepthAxis::index_of(const TapSite& site) {
  const auto found = std::ranges::find(sites_, site.path, &TapSite::path);
  if (found != sites_.end()) return static_cast<size_t>(found - sites_.begin());
  sites_.push_back(site);
  return sites_.size() - 1;
}

std::vector<std::string> DepthAxis::labels() const {
  std::vector<std::string> result;
  for (const TapSite& site : sites_) {
    const std::string suffix = "." + site.name;
    result.push_back(site.path.ends_with(suffix)
                         ? site.path.substr(0, site.path.size() - suffix.size())
                         : site.path);
  }
  return result;
}

std::vector<double> DepthAxis::positions() const {
  std::vector<double> result;
  for (size_t i = 0; i < sites_.size(); ++i) result.push_back(static_cast<double>(i));
  return result;
}

std::vector<plot::Span> DepthAxis::spans() const {
  std::vector<plot::Span> result;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const plot::Kind kind = sites_[i].subsamples ? plot::Kind::subsampling : figure_kind(sites_[i]);
    if (kind == plot::Kind::other) continue;
    const double begin = static_cast<double>(i) - 0.5, end = static_cast<double>(i) + 0.5;
    if (!result.empty() && result.back().kind == kind && result.back().end == begin) {
      result.back().end = end;
    } else {
      result.push_back({begin, end, kind, {}});
    }
  }
  return result;
}

std::vector<plot::Heatmap::Group> DepthAxis::stages() const {
  std::vector<plot::Heatmap::Group> result;
  for (size_t i = 0; i < sites_.size(); ++i) {
    const bool same = !result.empty() && sites_[i].height == sites_[i - 1].height;
    const auto at = static_cast<int64_t>(i);
    if (same) {
      result.back().end = at + 1;
    } else {
      const std::string size =
          std::to_string(sites_[i].height) + " × " + std::to_string(sites_[i].width);
      result.push_back({size, at, at + 1});
    }
  }
  return result;
}

}  // namespace passband
