#include "tensor/core/shape.h"

namespace passband {

Shape::Shape(std::span<const int64_t> dims) {
  CHECK(dims.size() <= kMaxRank, "shape: at most ", kMaxRank, " dimensions, got ", dims.size());
  for (const int64_t size : dims) push_back(size);
}

void Shape::push_back(int64_t size) {
  CHECK(rank_ < kMaxRank, "shape: at most ", kMaxRank, " dimensions");
  CHECK(size >= 0, "shape: dimension ", rank_, " is negative: ", size);
  dims_[static_cast<size_t>(rank_++)] = size;
}

int64_t Shape::numel() const {
  constexpr int64_t kMost = int64_t{1} << 60;  // so that their bytes can be counted too
  int64_t count = 1;
  bool most = false;
  for (const int64_t size : *this) {
    if (size == 0) return 0;
    most |= __builtin_mul_overflow(count, size, &count) || count > kMost;
  }
  CHECK(!most, "shape: ", *this, " has more elements than any memory");
  return count;
}

int Shape::wrap(int dim) const {
  const int wrapped = dim < 0 ? dim + rank_ : dim;
  CHECK(wrapped >= 0 && wrapped < rank_, "shape: dim ", dim, " is out of range for ", str());
  return wrapped;
}

int64_t Shape::outer(int dim) const {
  int64_t count = 1;
  for (int i = 0, stop = wrap(dim); i < stop; ++i) count *= dims_[static_cast<size_t>(i)];
  return count;
}

int64_t Shape::inner(int dim) const {
  int64_t count = 1;
  for (int i = wrap(dim) + 1; i < rank_; ++i) count *= dims_[static_cast<size_t>(i)];
  return count;
}

Shape Shape::with(int dim, int64_t size) const {
  Shape result = *this;
  result[dim] = size;
  return result;
}

Shape Shape::without(int dim) const {
  const int removed = wrap(dim);
  Shape result;
  for (int i = 0; i < rank_; ++i)
    if (i != removed) result.push_back(dims_[static_cast<size_t>(i)]);
  return result;
}

Shape Shape::inserted(int dim, int64_t size) const {
  const int at = dim < 0 ? dim + rank_ + 1 : dim;
  CHECK(at >= 0 && at <= rank_, "shape: cannot insert a dimension at ", dim, " into ", str());
  Shape result;
  for (int i = 0; i <= rank_; ++i) {
    if (i == at) result.push_back(size);
    if (i < rank_) result.push_back(dims_[static_cast<size_t>(i)]);
  }
  return result;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i)
    text += (i ? ", " : "") + std::to_string(dims_[static_cast<size_t>(i)]);
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

}  // namespace passband
