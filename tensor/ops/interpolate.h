// Interpolation: images of another size, each axis a linear map of its own.
#pragma once
#include "tensor/autograd/node.h"
#include "tensor/ops/window.h"

namespace passband {

// nearest: pixel floor(i * scale), scale = old side / new side (PyTorch's "nearest").
// bilinear, bicubic: centres at (i + 1/2) * scale - 1/2, align_corners false.
enum class Interpolation : uint8_t { nearest, bilinear, bicubic };

struct InterpolateOptions {
  Interpolation mode = Interpolation::bilinear;
  // Without: two or four pixels around the centre however far the image shrinks; outside the image
  // the edge repeats; the cubic has a = -0.75. As PyTorch's interpolate.
  // With: the kernel grows with the scale, and is cut off and summed to 1 at the edges; the cubic
  // has a = -0.5. As Pillow's resize in floating point, PyTorch's antialias = True, and thus what
  // timm evaluates on. Not for nearest.
  bool antialias = false;
};

// x (N, H, W, C) -> (N, size.height, size.width, C). Linear in x; dx is the adjoint, the transposed
// map. The tables of a call are made on the host, so on a GPU it can not be part of a recorded
// step.
Tensor interpolate(const Tensor& x, PerAxis size, const InterpolateOptions& options = {});

}  // namespace passband
