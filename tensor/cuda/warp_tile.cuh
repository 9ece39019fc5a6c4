// Products of 16 x 16 tiles on the tensor cores, each by one warp: sums (16, 16) += left (16, 16 of
// k) * right (16 of k, 16). All 32 lanes call everything here.
//
// bf16: two mma.sync. f32: each number is split into two of tf32, and the products of the parts are
// added but for the smallest: twelve mma.sync, an error of about 2^-21 instead of tf32's 2^-11.
//
// A lane has, with g = lane / 4 and t = lane % 4, for halves r, b and j of 0 or 1:
//   sums (row g + 8 r, column 8 b + 2 t + j);  left (row g + 8 r, k = 8 b + 2 t + j);
//   right (k = 8 b + 2 t + j, column g + 8 n)
// so sums become a left operand without leaving the registers (left_of). For f32 the order of k
// within a block of eight is not that of the instruction, but the same one on both sides.
//
// Tiles in shared memory have rows of a multiple of 16 bytes; kTilePadding elements more than a
// multiple of 64 bytes keep the rows of one load in different banks.
#pragma once
#include <bit>

#include "tensor/cuda/device.cuh"

namespace passband::cuda {

inline constexpr int kTile = 16;
inline constexpr int kTilePadding = 8;

struct TileSums {
  float values[2][2][2];  // [b][r][j]
};

template <class T> struct LeftTile;
template <> struct LeftTile<bf16> {
  uint32_t bits[4];  // [2 b + r]: the pair of j
};
template <> struct LeftTile<float> {
  float values[2][2][2];  // [b][r][j]
};

template <class T> struct RightTile;
template <> struct RightTile<bf16> {
  uint32_t bits[4];  // [2 n + b]: the pair of j
};
template <> struct RightTile<float> {
  float values[2][2][2];  // [n][b][j]
};

struct LaneInTile {
  int g, t;
  __device__ LaneInTile()
      : g(static_cast<int>(threadIdx.x) % 32 / 4), t(static_cast<int>(threadIdx.x) % 4) {}
};

// --- loads: `at` is the tile's first element, rows are `stride` elements apart; or line(i) is the
// address of row i, anywhere ---

// Rows of the tile are rows of memory.
template <class Line> __device__ __forceinline__ void load(LeftTile<bf16>& left, const Line& line) {
  const int lane = threadIdx.x % 32;
  load_matrix_x4(left.bits, line(lane % 16) + lane / 16 * 8);
}
template <class Line>
__device__ __forceinline__ void load(LeftTile<float>& left, const Line& line) {
  const LaneInTile lane;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float* row = line(lane.g + 8 * r);
#pragma unroll
    for (int b = 0; b < 2; ++b) {
      const auto pair = load_pack<2>(row + 8 * b + 2 * lane.t);
      left.values[b][r][0] = pair[0];
      left.values[b][r][1] = pair[1];
    }
  }
}
template <class T>
__device__ __forceinline__ void load(LeftTile<T>& left, const T* at, int stride) {
  load(left, [=](int i) { return at + i * stride; });
}

// Columns of the tile (k) are lines of memory.
template <class Line>
__device__ __forceinline__ void load_transposed(LeftTile<bf16>& left, const Line& line) {
  const int lane = threadIdx.x % 32;
  load_matrix_x4_transposed(left.bits, line(lane / 16 * 8 + lane % 8) + lane / 8 % 2 * 8);
}
template <class Line>
__device__ __forceinline__ void load_transposed(LeftTile<float>& left, const Line& line) {
  const LaneInTile lane;
#pragma unroll
  for (int b = 0; b < 2; ++b)
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float* k = line(8 * b + 2 * lane.t + j);
#pragma unroll
      for (int r = 0; r < 2; ++r) left.values[b][r][j] = k[lane.g + 8 * r];
    }
}

// Columns of the right operand are rows of memory: the product with a transposed matrix.
__device__ __forceinline__ void load_columns(RightTile<bf16>& right, const bf16* at, int stride) {
  const int lane = threadIdx.x % 32;
  load_matrix_x4(right.bits, at + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8);
}
__device__ __forceinline__ void load_columns(RightTile<float>& right, const float* at, int stride) {
  const LaneInTile lane;
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int b = 0; b < 2; ++b) {
      const auto pair = load_pack<2>(at + (lane.g + 8 * n) * stride + 8 * b + 2 * lane.t);
      right.values[n][b][0] = pair[0];
      right.values[n][b][1] = pair[1];
    }
}

// Rows of the right operand (k) are rows of memory.
__device__ __forceinline__ void load_rows(RightTile<bf16>& right, const bf16* at, int stride) {
  const int lane = threadIdx.x % 32;
  load_matrix_x4_transposed(right.bits, at + lane % 16 * stride + lane / 16 * 8);
}
__device__ __forceinline__ void load_rows(RightTile<float>& right, const float* at, int stride) {
  const LaneInTile lane;
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int b = 0; b < 2; ++b)
#pragma unroll
      for (int j = 0; j < 2; ++j)
        right.values[n][b][j] = at[(8 * b + 2 * lane.t + j) * stride + lane.g + 8 * n];
}

// Sums of one product as the left operand of the next, rounded to T.
template <class T> __device__ __forceinline__ LeftTile<T> left_of(const TileSums& sums) {
  LeftTile<T> left;
#pragma unroll
  for (int b = 0; b < 2; ++b)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      if constexpr (sizeof(T) == 2) {
        left.bits[2 * b + r] = bf16_pair(bf16(sums.values[b][r][0]), bf16(sums.values[b][r][1]));
      } else {
        left.values[b][r][0] = sums.values[b][r][0];
        left.values[b][r][1] = sums.values[b][r][1];
      }
    }
  return left;
}

// Sums into shared memory, rounded to T.
template <class T> __device__ __forceinline__ void store(T* at, int stride, const TileSums& sums) {
  const LaneInTile lane;
#pragma unroll
  for (int b = 0; b < 2; ++b)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      Pack<T, 2> pair;
      pair[0] = T(sums.values[b][r][0]);
      pair[1] = T(sums.values[b][r][1]);
      store_pack(at + (lane.g + 8 * r) * stride + 8 * b + 2 * lane.t, pair);
    }
}

// --- products ---

__device__ __forceinline__ void multiply(TileSums& sums, const LeftTile<bf16>& left,
                                         const RightTile<bf16>& right) {
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    float d[4] = {sums.values[n][0][0], sums.values[n][0][1], sums.values[n][1][0],
                  sums.values[n][1][1]};
    const uint32_t columns[2] = {right.bits[2 * n], right.bits[2 * n + 1]};
    mma_bf16_16x8x16(d, left.bits, columns);
#pragma unroll
    for (int i = 0; i < 4; ++i) sums.values[n][i / 2][i % 2] = d[i];
  }
}

// A number as the sum of two tf32 numbers, nearly. What the 13 bits below tf32's own hold after a
// conversion is up to the device: to be read as f32 they are cleared.
struct Tf32Parts {
  uint32_t high, low;
  __device__ __forceinline__ explicit Tf32Parts(float value)
      : high(tf32_bits(value) & 0xffffe000u), low(tf32_bits(value - std::bit_cast<float>(high))) {}
};

// Tensor cores cut sums off instead of rounding them. So they add eight products at a time, and
// the ordinary units add those to the sums.
__device__ __forceinline__ void multiply(TileSums& sums, const LeftTile<float>& left,
                                         const RightTile<float>& right) {
#pragma unroll
  for (int b = 0; b < 2; ++b) {
    uint32_t a_high[4], a_low[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Tf32Parts parts(left.values[b][i % 2][i / 2]);
      a_high[i] = parts.high;
      a_low[i] = parts.low;
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      float d[4] = {};
      const Tf32Parts first(right.values[n][b][0]), second(right.values[n][b][1]);
      const uint32_t b_high[2] = {first.high, second.high}, b_low[2] = {first.low, second.low};
      mma_tf32_16x8x8(d, a_low, b_high);
      mma_tf32_16x8x8(d, a_high, b_low);
      mma_tf32_16x8x8(d, a_high, b_high);
#pragma unroll
      for (int i = 0; i < 4; ++i) sums.values[n][i / 2][i % 2] += d[i];
    }
  }
}

}  // namespace passband::cuda
