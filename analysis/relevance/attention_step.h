// The step of relevance through attention: probabilities, their gradients and the shortcut become
// one matrix a picture, and relevance is multiplied by it, for a batch of pictures at once, where
// the probabilities lie.
#pragma once
#include <cstdint>

#include "nn/tap.h"
#include "tensor/core/tensor.h"

namespace passband {

// How the heads of a layer become one matrix.
enum class Fusion : uint8_t { mean, max, min };

// What one attention layer does to relevance.
enum class RolloutRule : uint8_t {
  // Abnar and Zuidema (ACL 2020): rows of (A + I) / 2, A fused over heads.
  attention,
  // vit-explain's gradient rollout: A is the positive part of mean_h(A_h dy_c/dA_h), then as above.
  gradient,
  // Chefer, Gur and Wolf (ICCV 2021): I + mean_h((A_h dy_c/dA_h)^+), not normalised.
  class_specific,
};

struct AttentionStepOptions {
  RolloutRule rule = RolloutRule::attention;
  Fusion fusion = Fusion::mean;  // of rule `attention`
  // Share of the smallest entries of a picture's fused matrix that is set to 0; columns of the
  // class token are kept. The processor chooses them.
  double discard = 0;
  // Normalises and discards as the script of github.com/jacobgil/vit-explain: column j is divided
  // by the sum of row j, and of the class token only its attention to itself is kept. Equal to ours
  // for mean fusion without discard.
  bool vit_explain = false;
};

class AttentionStep {
 public:
  // Probabilities and (rules with a class) their gradients of that class, (N * windows, heads, T,
  // T), T = prefix + tokens of a window; or (N, heads, T, keys), where keys stand for cells of
  // places (study/window_grid.h). Throws for other shapes, without the gradients that the
  // rule needs, and for windows beside prefix tokens. Time: heads T^2 a window; memory: T^2 doubles
  // a window.
  AttentionStep(const TapSite& site, const Tensor& probabilities, const Tensor& gradients,
                const AttentionStepOptions& options);

  // From the relevance of the layer's places, (N, places) f64, prefix tokens first and then the
  // grid row-major, that of the places below: a row vector times each picture's matrix, windows of
  // a shifted layer put back in place.
  Tensor carry(const Tensor& relevance) const;

 private:
  Tensor matrices_;      // (N * windows, T, T) f64
  int64_t windows_ = 1;  // of a picture
  Tensor order_, back_;  // i32: the place of each token, window by window; and the reverse
};

}  // namespace passband
