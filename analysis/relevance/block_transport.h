// The transport of each block from place to place, measured on its own linear map: for any
// block, be it attention, convolution, lambda layer, pooling or projection.
//
// For one picture a pass with gates, weights and statistics held constant (context().linearised) is
// linear from block to block: y_i = sum_j J_ij x_j + bias. The share of place j in place i is
// (Kobayashi et al. 2020, 2021, carried from attention layers to all blocks, the shortcut inside
// the sum)
//
//   R_ij = |J_ij x_j| / sum_j |J_ij x_j|
//
// With the channels split into groups, x_jg' = P_g' x_j, places become (place, group):
//   R_(i,g),(j,g') = |P_g J_ij P_g' x_j| / sum.
// One group, one head, W_V W_O = I and orthogonal tokens of equal length give (A + I) / 2. Rows are
// non-negative and sum to 1 (0 where a layer is dead); a branch of zeros gives the identity.
#pragma once
#include <vector>

#include "analysis/relevance/transport.h"
#include "models/model.h"

namespace passband {

int64_t places_of(const TapSite& site);  // of the grid, with its prefix

// The gradient of logit_c - mean of the logits, for each picture of logits (N, classes).
Tensor excess_seed(const Tensor& logits, const std::vector<int64_t>& classes);

struct BlockTransport {
  TapSite site;          // of the block's output
  int64_t channels = 0;  // of its output
  // Rows (place, group) of this block's output, columns of its input: index place * groups + group.
  // Empty for the first layer (stem, embedding) and for blocks left out.
  Transport transport;
};

struct BlockTransportOptions {
  int64_t groups = 1;  // must divide the channels of every block
  // Leaves blocks empty that show attention, and those that mix channels alone.
  bool without_attention = false;
  int64_t copies = 32;  // of the picture in one batch
};

// One picture (1, H, W, 3), normalised. What the outputs of a block see is measured first, from a
// few places on pictures of noise. Sources that no output place sees together share a pass: a
// global layer of T places costs T * groups copies of the picture, windows of w x w places w^2 *
// groups, a convolution block (2 reach + 1)^2 * groups, an MLP `groups`; a copy costs a forward
// pass and three backward passes of each block that still has sources left. Memory: `copies`
// forward passes of the widest block, and the entries of the transports.
std::vector<BlockTransport> block_transports(const Model& model, const Tensor& image,
                                             const BlockTransportOptions& options = {});

// What the classifier reads from the last block: for each picture, place and channel group
//   contribution = <d(logit_c - mean logit)/dx, x>, the rest of the network linearised: their sum
//   is the logit's excess up to biases;  norm = |P_g x_i| of the places that the classifier reads,
//   0 elsewhere.
struct ReadOut {
  TapSite site;
  int64_t places = 0, groups = 1;
  std::vector<double> contributions, norms;  // pictures x places x groups
};
ReadOut read_out(const Model& model, const Tensor& images, const std::vector<int64_t>& classes,
                 int64_t groups = 1);

}  // namespace passband
