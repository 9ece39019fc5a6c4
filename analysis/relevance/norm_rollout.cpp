// Relevance by norms: movement of blocks, profiles of channels.
#include "analysis/relevance/norm_rollout.h"

#include <cmath>
#include <numeric>

#include "tensor/core/error.h"

namespace passband {
namespace {

struct Center {
  double y, x;
};

Center center_of(const TapSite& site, int64_t cell) {
  return {(static_cast<double>(cell / site.width) + 0.5) * site.patch,
          (static_cast<double>(cell % site.width) + 0.5) * site.patch};
}

}  // namespace

Movement movement(const BlockTransport& block, const TapSite& below) {
  const TapSite& above = block.site;
  const std::vector<double> weights = block.transport.values();
  const int64_t columns = block.transport.columns(), cells = above.height * above.width;
  Movement result;
  double rows = 0;
  for (int64_t i = 0; i < cells; ++i) {
    const Center to = center_of(above, i);
    double total = 0, kept = 0, distance = 0;
    for (int64_t j = 0; j < below.height * below.width; ++j) {
      const double weight =
          weights[static_cast<size_t>((above.prefix + i) * columns + below.prefix + j)];
      const Center from = center_of(below, j);
      const double dy = std::abs(to.y - from.y), dx = std::abs(to.x - from.x);
      total += weight;
      distance += weight * std::sqrt(dy * dy + dx * dx);
      if (dy < 0.5 * above.patch && dx < 0.5 * above.patch) kept += weight;
    }
    if (total == 0) continue;
    result.kept += kept / total;
    result.distance += distance / total;
    rows += 1;
  }
  if (rows > 0) result = {result.kept / rows, result.distance / rows};
  return result;
}

std::vector<double> start_of(const ReadOut& read, bool for_class) {
  std::vector<double> start = for_class ? read.contributions : read.norms;
  for (double& value : start) value = std::max(value, 0.0);
  const double total = std::accumulate(start.begin(), start.end(), 0.0);
  for (double& value : start)
    value = total > 0 ? value / total : 1.0 / static_cast<double>(start.size());
  return start;
}

std::vector<std::vector<double>> relevance_by_layer(const std::vector<BlockTransport>& blocks,
                                                    std::vector<double> start) {
  std::vector<std::vector<double>> result(blocks.size());
  result.back() = std::move(start);
  for (size_t l = blocks.size() - 1; l > 0; --l)
    result[l - 1] = blocks[l].transport.carry(result[l]);
  return result;
}

std::vector<double> over_groups(const std::vector<double>& relevance, int64_t groups) {
  std::vector<double> places(relevance.size() / static_cast<size_t>(groups));
  for (size_t i = 0; i < relevance.size(); ++i)
    places[i / static_cast<size_t>(groups)] += relevance[i];
  return places;
}

std::vector<double> over_places(const std::vector<double>& relevance, int64_t groups) {
  std::vector<double> profile(static_cast<size_t>(groups));
  for (size_t i = 0; i < relevance.size(); ++i) profile[i % profile.size()] += relevance[i];
  return profile;
}

double effective_count(const std::vector<double>& shares) {
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (total <= 0) return 0;
  double entropy = 0;
  for (const double share : shares)
    if (share > 0) entropy -= share / total * std::log(share / total);
  return std::exp(entropy);
}

std::vector<double> channel_volume(const std::vector<BlockTransport>& blocks,
                                   const std::vector<double>& start, int64_t groups) {
  std::vector<double> volume;
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<double> only(start.size());
    for (size_t i = static_cast<size_t>(g); i < start.size(); i += static_cast<size_t>(groups))
      only[i] = start[i];
    const std::vector<double> places =
        over_groups(relevance_by_layer(blocks, std::move(only)).front(), groups);
    volume.insert(volume.end(), places.begin(), places.end());
  }
  return volume;
}

}  // namespace passband
