// One pixel of an augmented batch, written once for the CPU loops and the CUDA
// kernel.
#pragma once
#include "tensor/ops/training/make_batch.h"

namespace passband {

template <class A> struct Pixel { A channels[3]; };

// What all pixels of a batch share, in the type A that they are computed in.
// x' = pixel * scale + offset.
template <class A> struct PixelMaker {
  const uint8_t* pictures;
  CropOptions options;
  A scale[3], offset[3];
  A own;
  int64_t top, bottom, left, right;

  PixelMaker(const Tensor& set, const CropOptions& crop, const Normalisation& normalisation,
             const Mixing& mixing)
      : pictures(set.data<uint8_t>()),
        options(crop),
        own(static_cast<A>(mixing.own)),
        top(mixing.top),
        bottom(mixing.bottom),
        left(mixing.left),
        right(mixing.right) {
    for (size_t c = 0; c < 3; ++c) {
      const A mean = normalisation.mean[c], std = normalisation.std[c];
      scale[c] = 1 / (255 * std);
      offset[c] = -mean / std;
    }
  }

  // Pixel (y, x) of the augmented picture `index`.
  PASSBAND_HD Pixel<A> one(int64_t index, const Crop& crop, int64_t y, int64_t x) const {
    if (crop.cuts(options, y, x)) return {};
    int64_t row = crop.top + y, column = crop.left + (crop.flipped ? options.size - 1 - x : x);
    const bool outside = row < 0 || row >= options.height || column < 0 || column >= options.width;
    if (outside && options.reflect) {
      row = mirrored(row, options.height);
      column = mirrored(column, options.width);
    }
    const uint8_t* from = pictures + ((index * options.height + row) * options.width + column) * 3;
    Pixel<A> pixel;
    for (int c = 0; c < 3; ++c) {
      const A stored = outside && !options.reflect ? A(0) : static_cast<A>(from[c]);
      pixel.channels[c] = (stored * scale[c] + offset[c]) * A(crop.gain) + A(crop.shift);
    }
    return pixel;
  }

  // The same after mixing with the partner.
  PASSBAND_HD Pixel<A> mixed(int64_t index, const Crop& crop, int64_t partner,
                             const Crop& partner_crop, int64_t y, int64_t x) const {
    if (y >= top && y < bottom && x >= left && x < right) return one(partner, partner_crop, y, x);
    Pixel<A> pixel = one(index, crop, y, x);
    if (own == 1) return pixel;
    const Pixel<A> other = one(partner, partner_crop, y, x);
    for (int c = 0; c < 3; ++c)
      pixel.channels[c] = own * pixel.channels[c] + (1 - own) * other.channels[c];
    return pixel;
  }
};

// The target of class k: a mixture of two smoothed labels.
struct TargetMaker {
  float on_own, on_other, everywhere;

  TargetMaker(int64_t classes, double weight, double smoothing)
      : on_own(static_cast<float>((1 - smoothing) * weight)),
        on_other(static_cast<float>((1 - smoothing) * (1 - weight))),
        everywhere(static_cast<float>(smoothing / static_cast<double>(classes))) {}

  PASSBAND_HD float operator()(int64_t k, int64_t label, int64_t other) const {
    return everywhere + (k == label ? on_own : 0.0f) + (k == other ? on_other : 0.0f);
  }
};

}  // namespace passband
