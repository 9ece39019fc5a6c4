// CIFAR's pictures: 32 x 32 pixels in three planes.
#pragma once
#include <cstdint>

namespace passband {

constexpr int64_t kCifarSide = 32, kCifarPlane = kCifarSide * kCifarSide,
                  kCifarBytes = 3 * kCifarPlane;

// The planes of red, green and blue of a picture as (32, 32, 3).
inline void store_planes(const uint8_t* planes, uint8_t* image) {
  for (int64_t p = 0; p < kCifarPlane; ++p)
    for (int64_t c = 0; c < 3; ++c) image[p * 3 + c] = planes[c * kCifarPlane + p];
}

}  // namespace passband
