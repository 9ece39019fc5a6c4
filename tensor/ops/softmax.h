// Softmax family, over one dimension. The kernels take the last one; any other costs two
// transposes, and two more in backward.
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

// y = e^(x - max) / sum e^(x - max);   dx = y * (dy - sum(dy * y))
Tensor softmax(const Tensor& x, int dim = -1);
// y = x - max - log sum e^(x - max);   dx = dy - e^y * sum(dy)
Tensor log_softmax(const Tensor& x, int dim = -1);

}  // namespace passband
