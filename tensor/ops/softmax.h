// Softmax family, over the last dimension.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// y = e^(x - max) / sum e^(x - max);   dx = y * (dy - sum(dy * y))
Tensor softmax(const Tensor& x);
// y = x - max - log sum e^(x - max);   dx = dy - e^y * sum(dy)
Tensor log_softmax(const Tensor& x);

}  // namespace passband
