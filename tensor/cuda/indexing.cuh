// Index arithmetic of kernels: grids, division by numbers known at launch, positions of strided
// loops.
#pragma once
#include <algorithm>
#include <array>
#include <bit>

#include "tensor/cuda/device.cuh"

namespace passband::cuda {

// Blocks of a grid that covers n elements. Throws where a grid can not be that large.
inline unsigned blocks_for(int64_t n, int64_t per_block) {
  const int64_t blocks = (n + per_block - 1) / per_block;
  PASSBAND_CHECK(blocks <= INT32_MAX, "kernel launch: ", n,
                 " elements need more blocks than a grid can have");
  return static_cast<unsigned>(blocks);
}

// Division by a positive number that is the same for a whole launch: one high product and a shift
// instead of some twenty instructions, a hundred for 64 bits (Granlund and Montgomery, "Division by
// invariant integers using multiplication", PLDI 1994). Exact for dividends from 0 to 2^31 - 1; the
// plain division beyond.
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(int64_t divisor) : divisor_(divisor) {
    if (divisor > INT32_MAX) {  // more than any such dividend: all quotients are 0
      magic_ = 0;
      shift_ = 31;
      return;
    }
    const auto d = static_cast<uint64_t>(divisor);
    shift_ = static_cast<uint32_t>(std::bit_width(d - 1));
    magic_ = static_cast<uint32_t>((((uint64_t{1} << shift_) - d) << 32) / d + 1);
  }

  __device__ int64_t quotient(int64_t n) const {
    return n > INT32_MAX ? n / divisor_ : divide(static_cast<int>(n));
  }
  __device__ int divide(int n) const {
    const auto u = static_cast<uint32_t>(n);
    return static_cast<int>((__umulhi(u, magic_) + u) >> shift_);
  }
  // n -> quotient, and n becomes the remainder. Only for divisors of at most 31 bits.
  __device__ int split(int& n) const {
    const int quotient = divide(n);
    n -= quotient * static_cast<int>(divisor_);
    return quotient;
  }
  __device__ int64_t value() const { return divisor_; }

 private:
  int64_t divisor_ = 1;
  uint32_t magic_ = 1;
  uint32_t shift_ = 0;
};

// Nested loops over `rank` dimensions, the last the fastest, that walk through N operands at
// strides of their own.
template <int N> struct StridedLoops {
  static constexpr int kMostDims = 8;
  int rank = 0;
  Divisor size[kMostDims];
  int64_t stride[N][kMostDims] = {};

  void push_back(int64_t extent, const std::array<int64_t, N>& strides) {
    size[rank] = Divisor(extent);
    for (int operand = 0; operand < N; ++operand)
      stride[operand][rank] = strides[static_cast<size_t>(operand)];
    ++rank;
  }

  // Where each operand stands at position `at` of the loops.
  __device__ void offsets(int64_t at, int64_t (&offset)[N]) const {
    for (int operand = 0; operand < N; ++operand) offset[operand] = 0;
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t next = d > 0 ? size[d].quotient(at) : 0, i = at - next * size[d].value();
      for (int operand = 0; operand < N; ++operand) offset[operand] += i * stride[operand][d];
      at = next;
    }
  }
};

// Whether each pack that loops with these strides reads of an operand starts at a multiple of the
// pack's size: the last loop moves by one element, or not at all.
template <int Width, class T, size_t N>
bool has_aligned_rows(const T* x, const std::array<int64_t, N>& strides, int rank) {
  if (strides[static_cast<size_t>(rank - 1)] == 0) return true;
  return is_pack_aligned<Width>(x) && std::all_of(strides.begin(), strides.begin() + rank - 1,
                                                  [](int64_t s) { return s % Width == 0; });
}

}  // namespace passband::cuda
