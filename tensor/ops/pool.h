// Pooling over the spatial dimensions of (N, H, W, C).
#pragma once
#include "tensor/autograd/node.h"

namespace passband {

struct PoolOptions {
  int64_t kernel = 2;
  int64_t stride = 2;
  int64_t padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  // average only
};

// Padding counts as -infinity; the gradient goes to the first maximum of each window.
Tensor max_pool2d(const Tensor& x, const PoolOptions& options = {});
Tensor avg_pool2d(const Tensor& x, const PoolOptions& options = {});
// Mean over H and W: (N, H, W, C) -> (N, C).
Tensor global_avg_pool(const Tensor& x);

}  // namespace passband
