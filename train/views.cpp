// Views of a picture at evaluation.
#include "train/views.h"

#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

Tensor with_mirror_image(const Model& model, const Tensor& images, const Tensor& logits) {
  return mul(logits + model(flip(images, 2)), 0.5);
}

Tensor both_ways(const Model& model, const Tensor& images) {
  return with_mirror_image(model, images, model(images));
}

// The window at `at` of pictures with one more pixel on each side.
Tensor window(const Tensor& padded, int64_t at) {
  const int64_t height = padded.size(1) - 2, width = padded.size(2) - 2;
  return slice(slice(padded, 1, at, height), 2, at, width);
}

}  // namespace

Tensor averaged_over_views(const Model& model, const Tensor& images, const Tensor& logits,
                           TtaKind kind) {
  if (kind == TtaKind::none) return logits;
  const Tensor centre = with_mirror_image(model, images, logits);
  if (kind == TtaKind::flip) return centre;
  const Tensor padded = pad(pad(images, 1, 1, 1, PadMode::reflect), 2, 1, 1, PadMode::reflect);
  const Tensor moved = both_ways(model, window(padded, 0)) + both_ways(model, window(padded, 2));
  return mul(centre, 0.5) + mul(moved, 0.25);
}

}  // namespace passband
