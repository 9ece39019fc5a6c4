// Relevance carried by the norms of what blocks move, over places and over groups of channels.
#pragma once
#include <vector>

#include "analysis/relevance/block_transport.h"

namespace passband {

// How far a block carries relevance: means over its places, weighted by `weights` (one per row; all
// alike when empty).
struct Movement {
  double kept = 0;      // share that stays within the place's own area
  double distance = 0;  // input pixels between the centres of a place and its sources
};
// One channel group. `below` is the layer that the transport leads to. Prefix tokens are left out
// on both sides and the rest renormalised.
Movement movement(const BlockTransport& block, const TapSite& below);

// Where relevance starts: |P_g x_i| of what the classifier reads, or the positive part of its share
// in the class.
std::vector<double> start_of(const ReadOut& read, bool for_class);

// Relevance of (place, group) at every layer, `start` at the last: result[l] belongs to blocks[l].
std::vector<std::vector<double>> relevance_by_layer(const std::vector<BlockTransport>& blocks,
                                                    std::vector<double> start);

// Sums over groups (a map of places) and over places (a profile of groups) of a (place, group)
// vector.
std::vector<double> over_groups(const std::vector<double>& relevance, int64_t groups);
std::vector<double> over_places(const std::vector<double>& relevance, int64_t groups);

// exp of the entropy of a vector of shares: the number of entries it is spread over; 0 for zeros.
double effective_count(const std::vector<double>& shares);

// Space x channels: volume V[g, t], the share of lowest-layer place t in group g of the last layer,
// summed over the last layer's places with weights `start` (place, group). groups x places, its sum
// that of `start`.
std::vector<double> channel_volume(const std::vector<BlockTransport>& blocks,
                                   const std::vector<double>& start, int64_t groups);

}  // namespace passband
