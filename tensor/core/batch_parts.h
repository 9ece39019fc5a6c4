// BatchParts: sums over the pictures of a batch, in one order whoever has the pictures.
#pragma once
#include <cstdint>

namespace passband {

// The batch of all processes is cut into parts, equal runs of pictures. What is summed over
// pictures is summed, and rounded to its type, part by part; then mirror images are added to each
// other, as a process has both (BatchShare), then neighbours two by two, in f32 or wider. Processes
// go on so by ranks (add_by_fixed_tree): 2, 4 or 8 of them give the bits of one.
struct BatchParts {
  int64_t whole = 0;  // pictures of all processes
  int64_t rows = 0;   // of this one
  int64_t count = 1;  // parts of this process; 1: sums are not cut

  // Whether a leading dimension of this length is that of the pictures, or theirs times pixels.
  bool cut(int64_t leading) const { return count > 1 && leading > 0 && leading % rows == 0; }
};

inline constexpr int64_t kMostBatchParts = 16;

// Of the `whole` pictures of `processes`. Not cut where these do not have whole parts that mirror
// each other: of each as many as a power of two.
BatchParts parts_of_batch(int64_t whole, int processes);

// Of this thread; as first made, sums are not cut.
const BatchParts& batch_parts();

class BatchPartsGuard {
 public:
  explicit BatchPartsGuard(const BatchParts& parts);
  ~BatchPartsGuard();
  BatchPartsGuard(const BatchPartsGuard&) = delete;
  BatchPartsGuard& operator=(const BatchPartsGuard&) = delete;

 private:
  BatchParts restore_;
};

// The sum of `count` parts, an even power of two: make(part) gives one, add(a, b) adds b to a.
// [first, last): the parts of the first half that are summed, each with its mirror image.
template <class Make, class Add>
auto sum_of_parts(int64_t count, const Make& make, const Add& add, int64_t first, int64_t last) {
  if (last - first == 1) {
    auto sum = make(first);
    add(sum, make(count - 1 - first));
    return sum;
  }
  const int64_t middle = (first + last) / 2;
  auto sum = sum_of_parts(count, make, add, first, middle);
  add(sum, sum_of_parts(count, make, add, middle, last));
  return sum;
}
template <class Make, class Add>
auto sum_of_parts(int64_t count, const Make& make, const Add& add) {
  return sum_of_parts(count, make, add, 0, count / 2);
}

}  // namespace passband
