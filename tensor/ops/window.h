// Window geometry: numbers for the two axes of an image and for its four sides, as the options of
// convolution and pooling take them, and how windows slide along one axis.
#pragma once
#include <cstdint>
#include <ostream>

namespace passband {

// A number for the rows (height) and one for the columns (width); one number stands for both:
// `.stride = 2` is `.stride = {2, 2}`.
struct PerAxis {
  int64_t height, width;

  constexpr PerAxis(int64_t both) : height(both), width(both) {}
  constexpr PerAxis(int64_t height, int64_t width) : height(height), width(width) {}
  constexpr int64_t least() const { return height < width ? height : width; }
};

// Pixels added beside an image: one number for all sides, {rows, columns}, or {top, bottom, left,
// right}.
struct Padding {
  int64_t top, bottom, left, right;

  constexpr Padding(int64_t all) : Padding(all, all) {}
  constexpr Padding(int64_t rows, int64_t columns) : Padding(rows, rows, columns, columns) {}
  constexpr Padding(int64_t top, int64_t bottom, int64_t left, int64_t right)
      : top(top), bottom(bottom), left(left), right(right) {}
  constexpr int64_t least() const {
    return PerAxis(PerAxis(top, bottom).least(), PerAxis(left, right).least()).least();
  }
};

// One number where one says it all, else "(2, 1)" and "(top 1, bottom 0, left 2, right 1)".
std::ostream& operator<<(std::ostream& out, const PerAxis& numbers);
std::ostream& operator<<(std::ostream& out, const Padding& padding);

// Windows along one axis: cell k of window i lies at pixel  i * stride - before + k * dilation.
struct WindowAxis {
  int64_t stride = 1, dilation = 1, before = 0, after = 0;

  // Pixels from the first cell of `kernel` to the last.
  int64_t span(int64_t kernel) const { return dilation * (kernel - 1) + 1; }
  // Windows that fit into `side` pixels and the padding.
  int64_t windows(int64_t side, int64_t kernel) const {
    const int64_t room = side + before + after - span(kernel);
    return room < 0 ? 0 : room / stride + 1;
  }
  bool padded() const { return before != 0 || after != 0; }
};

}  // namespace passband
