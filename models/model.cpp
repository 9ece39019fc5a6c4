// What all networks share: the checked, cast, tapped way from images to logits.
#include "models/model.h"

#include <algorithm>

#include "models/network.h"
#include "tensor/ops/shape.h"

namespace passband {

bool ModelOptions::begins_small() const {
  return stem == StemKind::automatic ? image_size <= kCifarSize : stem == StemKind::cifar;
}

int64_t Model::count(BlockKind kind) const { return std::ranges::count(branches_, kind); }

Tensor Model::operator()(const Tensor& images) const {
  const int64_t side = options_.image_size;
  CHECK(store_.values().defined(), "model ", name_,
        " was made without memory for its parameters (build = false)");
  const int64_t given = images.rank() == 4 ? images.size(1) : 0;
  CHECK(given >= least_side() && given <= side && images.size(2) == given && images.size(3) == 3,
        "model ", name_, " takes images (N, ", side, ", ", side, ", 3), not ", images);
  const DType compute = options_.dtype == DType::f64 ? DType::f64 : context().compute;
  const Tensor logits = forward(images.dtype() == compute ? images : cast(images, compute));
  ScopeGuard guard("head");
  return tap("logits", logits.dtype() == DType::bf16 ? cast(logits, DType::f32) : logits,
             {.kind = BlockKind::head});
}

}  // namespace passband
