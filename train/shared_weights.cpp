#include "train/shared_weights.h"

#include "tensor/core/collective.h"

namespace passband {

void broadcast_vector(Tensor vector) {
  if (process_count() == 1 || !vector.defined() || vector.numel() == 0) return;
  broadcast(vector.raw(), vector.numel() * size_of(vector.dtype()));
  vector.bump_version();
}

}  // namespace passband
