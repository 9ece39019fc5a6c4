// Localisation: whether a token still speaks of its own patch (Raghu et al. 2021, figures 9, 10).
#pragma once
#include <cstdint>
#include <vector>

#include "analysis/similarity/cka.h"
#include "nn/tap.h"

namespace passband {

// Heat maps M_t(s) = CKA(Z_t, V_s) between the features Z_t (n, C) of the token at grid place t and
// the pixels V_s of picture patch s, the picture cut into the same grid; unbiased CKA over
// minibatches (the biased one reads about 0.08 for unrelated features of the usual sizes). Pictures
// are never kept: time per batch of n: T n^2 (C + patch pixels) for the kernels and T^2 n^2 for the
// pairs; memory 2 T n^2 doubles.
class Localisation {
 public:
  explicit Localisation(const TapSite& site);

  // features (n, H, W, C) f32 of the layer, images (n, side, side, 3) f32 with H and W dividing
  // side. n >= 4.
  void add(const Tensor& features, const Tensor& images);

  std::vector<double> heatmaps() const { return sums_.matrix(); }  // tokens x patches
  const TapSite& site() const { return site_; }

 private:
  TapSite site_;
  MinibatchCka sums_;
};

struct LocalisationSummary {
  double own_rank = 0;  // of the own patch among all, mean over tokens: 0 the most similar, 1 the
                        // least, 0.5 by chance
  double own_rank_error = 0;  // standard error of that mean, from the tokens
  double own_first = 0;       // share of tokens whose own patch is the most similar
  // grid steps between token and patches, weighted by positive CKA, mean over tokens
  double distance = 0;
  double uniform = 0;  // the same for equal weights
};
// Of heat maps tokens x patches on a height x width grid. Equal patches share their rank; patches
// without a value (dead) are left out.
LocalisationSummary summarise(const std::vector<double>& heatmaps, int64_t height, int64_t width);

}  // namespace passband
