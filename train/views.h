// Views of a picture at evaluation (test-time augmentation): logits averaged over its mirror image
// and over shifts by a pixel.
#pragma once
#include "models/model.h"
#include "models/run_settings.h"

namespace passband {

// images (N, H, W, 3) and the network's `logits` (N, K) of them -> (N, K), the weighted mean over
//   flip:  the picture and its mirror image, a half each;
//   shift: these two a quarter each, and an eighth each of both ways of the picture moved by one
//          pixel down and right, and up and left, its edge reflected;
//   none:  the logits themselves.
// As Jordan 2024 (arXiv 2404.00498, section 3.5; KellerJordan/cifar10-airbench, tta_level 1 and 2).
Tensor averaged_over_views(const Model& model, const Tensor& images, const Tensor& logits,
                           TtaKind kind);

}  // namespace passband
