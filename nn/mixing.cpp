#include "nn/mixing.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random_gamma.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace passband {
namespace {

void blend(Tensor images, double lambda) {
  const int64_t batch = images.size(0), n = images.numel() / batch;
  float* x = images.data<float>();
  const float own = static_cast<float>(lambda), other = 1 - own;
  parallel_for((batch + 1) / 2, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* a = x + i * n;
      float* b = x + (batch - 1 - i) * n;
      for (int64_t j = 0; j < n; ++j) {
        const float va = a[j], vb = b[j];
        a[j] = own * va + other * vb;
        b[j] = own * vb + other * va;
      }
    }
  });
}

// A box of area about (1 - lambda) of the picture, clipped at the borders.
Mixing draw_box(int64_t height, int64_t width, double lambda, RandomSequence& random) {
  const double side = std::sqrt(1 - lambda);
  const auto half_h = static_cast<int64_t>(static_cast<double>(height) * side) / 2;
  const auto half_w = static_cast<int64_t>(static_cast<double>(width) * side) / 2;
  const int64_t y = random.below(height), x = random.below(width);
  Mixing box{.top = std::max<int64_t>(0, y - half_h),
             .bottom = std::min(height, y + half_h),
             .left = std::max<int64_t>(0, x - half_w),
             .right = std::min(width, x + half_w)};
  const double area = static_cast<double>((box.bottom - box.top) * (box.right - box.left));
  box.label_weight = 1 - area / static_cast<double>(height * width);
  return box;
}

void paste(Tensor images, const Mixing& box) {
  const int64_t batch = images.size(0), height = images.size(1), width = images.size(2);
  float* x = images.data<float>();
  for (int64_t i = 0; i < batch / 2; ++i) {
    for (int64_t row = box.top; row < box.bottom; ++row) {
      float* a = x + ((i * height + row) * width + box.left) * 3;
      float* b = x + (((batch - 1 - i) * height + row) * width + box.left) * 3;
      std::swap_ranges(a, a + (box.right - box.left) * 3, b);
    }
  }
}

}  // namespace

Mixing draw_mixing(int64_t height, int64_t width, const MixingOptions& options,
                   const RandomKey& key) {
  RandomSequence random(key);
  if ((options.mixup <= 0 && options.cutmix <= 0) ||
      random.uniform() >= static_cast<float>(options.probability))
    return {};
  const bool both = options.mixup > 0 && options.cutmix > 0;
  const bool cut =
      both ? random.uniform() < static_cast<float>(options.switch_probability) : options.cutmix > 0;
  const double lambda = draw_beta(cut ? options.cutmix : options.mixup, random);
  if (cut) return draw_box(height, width, lambda, random);
  return {.own = lambda, .label_weight = lambda};
}

void mix(const Tensor& images, const Mixing& mixing) {
  if (mixing.own != 1) blend(images, mixing.own);
  else paste(images, mixing);
}

}  // namespace passband
