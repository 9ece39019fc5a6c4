// The border between the device and the processor. Networks run on the device, and so do the long
// sums of analyses; what an analysis reads element by element crosses here (small results also by
// Tensor::values and Tensor::item).
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

// `x` outside any graph, in memory that the processor reads: itself when it lies there already,
// else a copy, which waits for the device.
inline Tensor on_host(const Tensor& x) { return x.detach().to({}); }

}  // namespace passband
