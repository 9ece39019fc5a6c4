// One function for each kind of corruption; the table that joins them is in corruptions.cpp.
#pragma once
#include <array>

#include "data/corruption_filters.h"

namespace passband {

// One picture on its way, in [0, 1], with its random numbers. A recipe may leave values outside [0,
// 1].
struct CorruptionJob {
  Raster x;
  int severity = 1;
  bool small = true;  // parameters of CIFAR-10-C, else of ImageNet-C
  RandomSequence random;

  int64_t side() const { return x.height; }
  // The parameter of the severity from the table for this size.
  template <class T>
  const T& pick(const std::array<T, 5>& cifar, const std::array<T, 5>& imagenet) const {
    return (small ? cifar : imagenet)[static_cast<size_t>(severity - 1)];
  }
};

// Values as 8-bit files hold them, 0 to 255: cut off below the point (the published programs'
// uint8), or rounded.
Raster truncated_to_bytes(const Raster& in);
Raster rounded_to_bytes(const Raster& in);

void gaussian_noise(CorruptionJob& job);
void shot_noise(CorruptionJob& job);
void impulse_noise(CorruptionJob& job);
void speckle_noise(CorruptionJob& job);
void defocus_blur(CorruptionJob& job);
void glass_blur(CorruptionJob& job);
void motion_blur(CorruptionJob& job);
void zoom_blur(CorruptionJob& job);
void gaussian_blur(CorruptionJob& job);
void snow(CorruptionJob& job);
void frost(CorruptionJob& job);
void fog(CorruptionJob& job);
void spatter(CorruptionJob& job);
void brightness(CorruptionJob& job);
void contrast(CorruptionJob& job);
void elastic_transform(CorruptionJob& job);
void pixelate(CorruptionJob& job);
void jpeg_compression(CorruptionJob& job);
void saturate(CorruptionJob& job);

}  // namespace passband
