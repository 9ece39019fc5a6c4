// The spatial extent of a feature map.
#pragma once
#include <cstdint>

namespace passband {

struct Grid {
  int64_t height = 0, width = 0;

  int64_t pixels() const { return height * width; }
  // The grid that a sliding kernel leaves: floor((side + 2 padding - kernel) / stride) + 1
  // for each side.
  Grid strided(int64_t kernel, int64_t stride, int64_t padding) const {
    return {(height + 2 * padding - kernel) / stride + 1,
            (width + 2 * padding - kernel) / stride + 1};
  }
  friend bool operator==(const Grid&, const Grid&) = default;
};

}  // namespace passband
