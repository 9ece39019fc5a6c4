// Pooling over the spatial dimensions of (N, H, W, C).
#pragma once
#include "tensor/autograd/node.h"
#include "tensor/ops/window.h"

namespace passband {

// Windows may reach into the padding, but each must hold a pixel of the image.
struct PoolOptions {
  PerAxis kernel = 2;
  PerAxis stride = 2;
  Padding padding = 0;
  PerAxis dilation = 1;           // maximum only
  bool ceil_mode = false;         // a last window that overhangs counts too
  bool count_include_pad = true;  // average only

  WindowAxis rows() const { return {stride.height, dilation.height, padding.top, padding.bottom}; }
  WindowAxis columns() const { return {stride.width, dilation.width, padding.left, padding.right}; }
};

// Padding counts as -infinity; the gradient goes to the first maximum of each window.
Tensor max_pool2d(const Tensor& x, const PoolOptions& options = {});
Tensor avg_pool2d(const Tensor& x, const PoolOptions& options = {});
// Mean over H and W: (N, H, W, C) -> (N, C).
Tensor global_avg_pool(const Tensor& x);

}  // namespace passband
