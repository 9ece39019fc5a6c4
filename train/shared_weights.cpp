#include "train/shared_weights.h"

#include "tensor/core/collective.h"
#include "tensor/ops/pointwise.h"

namespace passband {

void broadcast_vector(Tensor vector) {
  if (process_count() == 1 || !vector.defined() || vector.numel() == 0) return;
  Tensor on_host = vector.to({});
  broadcast(on_host.raw(), on_host.numel() * size_of(on_host.dtype()));
  if (vector.device().is_cuda()) copy_(vector, on_host.to(vector.device()));
  vector.bump_version();
}

}  // namespace passband
