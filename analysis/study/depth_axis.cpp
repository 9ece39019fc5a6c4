#include "analysis/study/depth_axis.h"

#include <algorithm>
#include <functional>

#include "tensor/core/error.h"

namespace passband {
namespace {

bool is_layer(const TapSite& site) { return std::ranges::count(layer_taps(), site.name) > 0; }

std::string without(const std::string& path, const std::string& suffix) {
  return path.ends_with(suffix) ? path.substr(0, path.size() - suffix.size()) : path;
}

std::string label_of(const TapSite& site) {
  const bool shares_module = site.kind != BlockKind::norm && site.name != "conv" &&
                             site.name != "linear" && is_layer(site);
  return shares_module ? site.path : without(site.path, "." + site.name);
}

// The two branches of a transformer's block, of tokens and of channels, are one.
std::string block_label(const TapSite& block) {
  return without(label_of(block), concat_text('.', name_of(block.kind)));
}

// Runs of equal labels.
std::vector<plot::Heatmap::Group> grouped(size_t count,
                                          const std::function<std::string(size_t)>& label) {
  std::vector<plot::Heatmap::Group> result;
  for (size_t i = 0; i < count; ++i) {
    const auto at = static_cast<int64_t>(i);
    const std::string name = label(i);
    if (!result.empty() && result.back().label == name) result.back().end = at + 1;
    else result.push_back({name, at, at + 1});
  }
  return result;
}

}  // namespace

plot::Kind figure_kind(const TapSite& site) {
  switch (site.kind) {
    case BlockKind::msa:
    case BlockKind::parallel:
    case BlockKind::hydra: return plot::Kind::attention;
    case BlockKind::conv:
    case BlockKind::depthwise: return plot::Kind::convolution;
    case BlockKind::lambda: return plot::Kind::lambda;
    case BlockKind::mlp:
    case BlockKind::token_mlp: return plot::Kind::mlp;
    case BlockKind::downsample: return plot::Kind::subsampling;
    case BlockKind::pooling:
    case BlockKind::identity:
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
  for (const TapSite& site : sites_) result.push_back(label_of(site));
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
  return grouped(sites_.size(), [&](size_t i) {
    const TapSite& block = block_of(i);
    return std::to_string(block.height) + " × " + std::to_string(block.width);
  });
}

std::vector<plot::Heatmap::Group> DepthAxis::groups() const {
  constexpr size_t kMostBlocks = 26;  // whose brackets can still be told apart
  std::vector<plot::Heatmap::Group> of_stages = stages();
  if (std::ranges::none_of(sites_, is_layer)) return of_stages;
  std::vector<plot::Heatmap::Group> blocks =
      grouped(sites_.size(), [&](size_t i) { return block_label(block_of(i)); });
  return blocks.size() <= kMostBlocks || of_stages.size() == 1 ? blocks : of_stages;
}

const TapSite& DepthAxis::block_of(size_t i) const {
  const auto ends = [](const TapSite& site) { return !is_layer(site); };
  const auto here = sites_.begin() + static_cast<int64_t>(i);
  if (const auto next = std::find_if(here, sites_.end(), ends); next != sites_.end()) return *next;
  const auto last = std::find_if(sites_.rbegin(), sites_.rend(), ends);
  return last == sites_.rend() ? *here : *last;
}

}  // namespace passband
