// How far attention looks, and how it flows through the layers.
#pragma once
#include <cstdint>
#include <vector>

#include "nn/tap.h"
#include "tensor/core/tensor.h"

namespace passband {

// Mean attention distance of each head of one layer (Dosovitskiy et al., ICLR 2021, figure 11; Raghu et al. 2021):
//   d_h = mean over pictures and query patches i of  sum_j A_ij |p_i - p_j|_2  in input pixels, centre to centre.
// Class-token columns are dropped and the rest renormalised; their mass is reported apart, so that a head that looks at
// the class token does not read as local. Shifted windows are measured in the unrolled picture.
// Time: one product with the T x T distance matrix per head and picture.
class AttentionDistance {
 public:
  void add(const TapSite& site, const Tensor& probabilities);  // (N * windows, heads, T, T)
  std::vector<double> distances() const;   // per head, pixels
  std::vector<double> class_mass() const;  // per head, share in [0, 1]

 private:
  std::vector<double> distance_, mass_;
  double count_ = 0;
};

// Distance of two tokens of uniform attention over an n x n grid (itself included), in grid steps: what a head that
// ignores position shows. 14 x 14 patches of 16 px: 116.4922 px.
double uniform_distance(int64_t n);

// Attention rollout (Abnar and Zuidema, ACL 2020) in vector form, for networks that mix attention with convolution:
// a row vector over the last grid is carried down through A_l' = (A_l + I) / 2, heads averaged; windows act as
// blocks of a block-diagonal matrix; where the grid is coarser than the one below, a cell's share is spread evenly
// over its cells (the approximation that a convolution block keeps positions). One row costs T^2 per layer instead
// of T^3.
struct RolloutLayer {
  TapSite site;
  Tensor attention;  // (N * windows, heads, T, T) f32
};

// Relevance of each cell of the finest attention grid for every picture, (N, H, W), each map summing to 1 minus
// what the class token keeps. `from_class_token`: start at the class token; else uniformly over the last grid
// (average pooling).
struct RolloutMaps {
  int64_t count = 0, height = 0, width = 0;
  std::vector<double> values;
};
RolloutMaps rollout(const std::vector<RolloutLayer>& layers, bool from_class_token);

}  // namespace passband
