// The effective weights of lambda layers: what stands in for an attention map where there is none.
//
// A lambda layer writes y_n = sum_m S_nm v_m with S_h,nm = q_h,n . (k_m + E_(m-n)) (Bello, ICLR
// 2021): a part from content (the keys) and one from position (the embedding). S is signed and its
// rows do not sum to 1, so it is no share of anything and products of such matrices are no rollout.
// What can be said:
//   |S|            how strongly places are connected, by content and by position apart;
//   contributions  I_m = <v_m, d logit_c / d v_m> = sum_n <d logit_c / d y_n, S_nm v_m>: the
//   message of place m along
//                  what raises the logit of class c, exact for the layer and signed.
#pragma once
#include <vector>

#include "models/model.h"

namespace passband {

// Sums over pictures for one lambda layer.
class LambdaWeights {
 public:
  // The taps "lambda" and "lambda_content" of one batch: (N, heads, T, T).
  void add(const TapSite& site, const Tensor& weights, const Tensor& content);

  double content_share() const;     // sum content^2 / (sum content^2 + sum position^2)
  double negative_share() const;    // sum of |S| where S < 0 / sum |S|
  double distance() const;          // input pixels, weighted by |S|, mean over queries
  double uniform_distance() const;  // the same for equal weights

 private:
  double content_ = 0, position_ = 0, negative_ = 0, absolute_ = 0, distance_ = 0, uniform_ = 0,
         queries_ = 0;
  Tensor apart_;  // distances between places, where the weights lie
};

}  // namespace passband
