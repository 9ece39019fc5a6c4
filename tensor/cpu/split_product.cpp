// The parts of f32 numbers, laid out as the matrix unit takes them.
#include "tensor/cpu/split_product.h"

#include <algorithm>
#include <utility>

#include "tensor/cpu/product_tile.h"

LEVEL_BEGIN
namespace split {

#ifdef PASSBAND_MATRIX_UNIT

namespace {

constexpr int L = kLanes<float>;
static_assert(L == 16 && kDepth == 2 * L && kSide == 2 * L);

// 32 numbers as 16 words for each of three parts: those of `low` in the lower halves, those of
// `high` in the upper ones. `most` collects the largest magnitude, as bits.
struct Words {
  VecWord part[3];

  Words(Vec<float> low, Vec<float> high, VecWord& most) {
    constexpr uint32_t kUpper = 0xffff0000u, kHalf = 0x8000u;
    for (const Vec<float>& v : {low, high}) {
      const VecWord magnitude = reinterpret_cast<VecWord>(v) & 0x7fffffffu;
      most = most > magnitude ? most : magnitude;
    }
    unrolled<3>([&](auto p) __attribute__((always_inline)) {
      // To the nearest bf16; what is left after two of them is one itself.
      const VecWord rounding = VecWord{} + (p < 2 ? kHalf : 0u);
      const VecWord l = reinterpret_cast<VecWord>(low) + rounding;
      const VecWord h = (reinterpret_cast<VecWord>(high) + rounding) & kUpper;
      part[p] = h | (l >> 16);
      low -= reinterpret_cast<Vec<float>>(l & kUpper);
      high -= reinterpret_cast<Vec<float>>(h);
    });
  }
};

void transpose_tile(uint32_t* tile) {
  Vec<float> rows[L];
  for (int i = 0; i < L; ++i) std::memcpy(&rows[i], tile + i * L, sizeof rows[i]);
  transpose_square<float>(rows);
  for (int i = 0; i < L; ++i) std::memcpy(tile + i * L, &rows[i], sizeof rows[i]);
}

// Tile after tile: numbers(k, first, i) are the two vectors that make row i of a tile whose inner
// dimension begins at k and whose rows or columns of the factor begin at `first`.
template <bool transposed, class F> bool pack(Step* to, int64_t depth, const F& numbers) {
  VecWord most{};
  for (int64_t k = 0; k < depth; k += kDepth, ++to)
    for (int tile = 0; tile < 2; ++tile) {
      for (int i = 0; i < L; ++i) {
        const auto [low, high] = numbers(k, tile * L, i);
        const Words words(low, high, most);
        for (int p = 0; p < 3; ++p)
          std::memcpy(to->parts[p][tile] + i * L, &words.part[p], sizeof words.part[p]);
      }
      if (transposed)
        for (int p = 0; p < 3; ++p) transpose_tile(to->parts[p][tile]);
    }
  constexpr uint32_t kRoundsToInfinity = 0x7f7f8000u;
  for (int l = 0; l < L; ++l)
    if (most[l] >= kRoundsToInfinity) return false;
  return true;
}

Vec<float> load_within(const float* p, int64_t left) {
  return left >= L ? load(p) : left > 0 ? load(p, static_cast<int>(left)) : Vec<float>{};
}

template <bool transposed> bool pack_rows(Step* to, const Panel& p) {
  return pack<transposed>(
      to, p.depth, [&](int64_t k, int64_t first, int64_t i) __attribute__((always_inline)) {
        const float* row = p.from + (first + i) * p.stride + k;
        const int64_t left = first + i < p.width ? p.depth - k : 0;
        return std::pair(load_within(row, left), load_within(row + L, left - L));
      });
}

template <bool transposed> bool pack_columns(Step* to, const Panel& p) {
  return pack<transposed>(
      to, p.depth, [&](int64_t k, int64_t first, int64_t i) __attribute__((always_inline)) {
        const auto row = [&](int64_t r) __attribute__((always_inline)) {
          return load_within(p.from + r * p.stride + first, r < p.depth ? p.width - first : 0);
        };
        return std::pair(row(k + i), row(k + i + L));
      });
}

}  // namespace

bool pack_left_rows(Step* to, const Panel& panel) { return pack_rows<false>(to, panel); }
bool pack_left_columns(Step* to, const Panel& panel) { return pack_columns<true>(to, panel); }
bool pack_right_rows(Step* to, const Panel& panel) { return pack_rows<true>(to, panel); }
bool pack_right_columns(Step* to, const Panel& panel) { return pack_columns<false>(to, panel); }

#endif

}  // namespace split
LEVEL_END
