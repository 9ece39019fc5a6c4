// Shape of a contiguous row-major tensor, at most 8 dimensions, stored in place.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include "tensor/core/error.h"

namespace passband {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims)
      : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t numel() const;
  // Negative dims count from the end. Throws when out of range.
  int64_t operator[](int dim) const { return dims_[static_cast<size_t>(wrap(dim))]; }
  int64_t& operator[](int dim) { return dims_[static_cast<size_t>(wrap(dim))]; }
  // `dim` as an index from the front.
  int wrap(int dim) const;
  // Product of the dimensions before / after `dim`.
  int64_t outer(int dim) const;
  int64_t inner(int dim) const;

  Shape with(int dim, int64_t size) const;
  Shape without(int dim) const;
  Shape inserted(int dim, int64_t size) const;
  void push_back(int64_t size);

  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  friend bool operator==(const Shape& a, const Shape& b) { return std::ranges::equal(a, b); }
  std::string str() const;  // "[32, 8, 8, 64]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace passband
