// The rows of a batch that a network gets most wrong.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

// Of losses (N), f32 or f64, the k largest: their rows, i32 (k), in ascending order. Of equal
// losses the earlier row comes first; one that is not finite comes before all others, so that a
// step on these rows ends in what is wrong. The host waits for no device.
Tensor hardest_rows(const Tensor& losses, int64_t k);

}  // namespace passband
