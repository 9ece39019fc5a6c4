// Vectors that all processes of a training have alike.
#pragma once
#include "tensor/core/tensor.h"

namespace passband {

// The vector of the first process comes to all; on the processor. Undefined or empty: nothing does.
void broadcast_vector(Tensor vector);

}  // namespace passband
