// What Hydra attention (Bolya et al., 2022) mixes, channel by channel.
//
// As many heads as channels, each with a cosine for its kernel: y_td = q_td sum_s k_sd v_sd with
// queries and keys of length 1. Channel d has a map of its own, A_d[t, s] = q_td k_sd: of rank 1,
// signed, with rows that do not sum to 1. No matrix over places is shared by channels, so nothing
// can be fused over heads or multiplied into a rollout. What can be said:
//   the maps of single channels, positive and negative part apart;
//   contributions  I_s = <v_s, d logit_c / d v_s> = <d logit_c / d y, q k_s v_s>, summed over
//   queries: what place s sends along that which raises the logit of class c. Exact for the layer:
//   sum_s I_s = <d logit_c / d y, y>.
// A naive reading takes the mean of the maps over channels, <q_t, k_s> / D, for attention, cuts its
// negative part and makes rows sum to 1; rollout.h does so where it meets such a layer, to be shown
// beside the others.
#pragma once
#include <vector>

#include "models/model.h"

namespace passband {

// Sums over pictures for one layer, from the taps "hydra_query" and "hydra_key": (N, places, D)
// or (N, H, W, D). Time and memory: places D.
class HydraWeights {
 public:
  void add(const TapSite& site, const Tensor& queries, const Tensor& keys);

  double negative_share() const;  // of sum |A_d[t, s]|, where A < 0
  double row_sum() const;         // of A_d[t, :], mean over channels and queries; 1 for attention
  double row_deviation() const;   // of the same

 private:
  double absolute_ = 0, signed_ = 0, squares_ = 0, rows_ = 0;
};

// The maps of channels for one query, the class token or the place in the middle: (N, places, D),
// tokens before the grid first. From the same taps.
Tensor channel_maps(const TapSite& site, const Tensor& queries, const Tensor& keys);

// The mean over channels that a naive reading takes for attention, (N, 1, T, T); see above.
Tensor naive_attention(const TapSite& site, const Tensor& queries, const Tensor& keys);

}  // namespace passband
