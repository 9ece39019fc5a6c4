// Products of bf16 numbers by the dot product of pairs, `vdpbf16ps` (the level avx512_bf16): twice
// the rate of f32 multiply-adds. What a product packs are pairs of neighbours along the inner
// dimension; a last one without a neighbour gets a zero. The instruction sums in f32, rounds to
// nearest and takes subnormal numbers for 0.
#pragma once
#include <algorithm>
#include <array>

#include "tensor/cpu/level.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN

struct Pair {
  bf16 first, second;
};

// What bf16 factors are packed as; all others as they are.
template <class T> using Factor = std::conditional_t<std::is_same_v<T, bf16>, Pair, T>;

// Entries of the inner dimension that one number of a packed factor holds.
template <class F> inline constexpr int64_t kPerStep = std::is_same_v<F, Pair> ? 2 : 1;

// Whether this code may have the instruction, and whether it has.
inline constexpr bool kBf16Pairs = kVectorBytes == 64;
inline bool has_bf16_pairs() { return kBf16Pairs && level() >= Level::avx512_bf16; }

#if PASSBAND_VECTOR_BYTES == 64

// The bits of one pair in each lane.
inline Vec<float> load(const Pair* p) {
  Vec<float> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(Pair* p, Vec<float> pairs) { std::memcpy(static_cast<void*>(p), &pairs, 64); }
inline void store(Pair* p, Vec<float> pairs, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), pairs);
}

// sum + x b, the same pair x for all lanes of b. Written as assembly because the code of this level
// is compiled for machines without the instruction as well.
[[gnu::always_inline]] inline Vec<float> multiply_add(Vec<float> sum, const Pair& x, Vec<float> b) {
  asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(x));
  return sum;
}

// 32 sums as bf16, rounded to nearest.
[[gnu::always_inline]] inline Vec<float> narrowed(Vec<float> low, Vec<float> high) {
  Vec<float> both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
  return both;
}

// The first `count` of kLanes<float> numbers, zeros after them; none where count is below 1.
inline VecWord load_words(const bf16* p, int64_t count) {
  if (count >= kLanes<float>) {
    VecHalf half;
    std::memcpy(&half, p, sizeof half);
    return __builtin_convertvector(half, VecWord);
  }
  const auto mask = static_cast<__mmask16>(count > 0 ? (1u << count) - 1 : 0);
  return __builtin_convertvector(reinterpret_cast<VecHalf>(_mm256_maskz_loadu_epi16(mask, p)),
                                 VecWord);
}

// Pairs of entries of two lines; `second` may be null, a line of zeros.
inline Vec<float> paired(const bf16* first, const bf16* second, int64_t count) {
  VecWord pairs = load_words(first, count);
  if (second) pairs |= load_words(second, count) << 16;
  return reinterpret_cast<Vec<float>>(pairs);
}

// to (count) = pairs of entries of two lines; `second` may be null, a line of zeros.
inline void pair_lines(Pair* to, const bf16* first, const bf16* second, int64_t count) {
  constexpr int64_t L = kLanes<float>;
  alignas(64) static constexpr auto order = [] {
    std::array<uint16_t, 64> words{};
    for (size_t i = 0; i < words.size(); ++i)
      words[i] = static_cast<uint16_t>(i / 2 + (i % 2 == 0 ? 0 : 32));
    return words;
  }();
  int64_t i = 0;
  if (second) {
    const __m512i low = _mm512_load_si512(&order[0]), high = _mm512_load_si512(&order[32]);
    for (; i + 2 * L <= count; i += 2 * L) {
      const __m512i a = _mm512_loadu_si512(first + i), b = _mm512_loadu_si512(second + i);
      _mm512_storeu_si512(to + i, _mm512_permutex2var_epi16(a, low, b));
      _mm512_storeu_si512(to + i + L, _mm512_permutex2var_epi16(a, high, b));
    }
  }
  for (; i < count; i += L)
    store(to + i, paired(first + i, second ? second + i : nullptr, count - i),
          static_cast<int>(std::min(L, count - i)));
}

// The pairs of up to 2 kLanes<float> neighbours, zeros after the last.
inline Vec<float> neighbours(const bf16* p, int64_t count) {
  if (count >= 2 * kLanes<float>) return load(reinterpret_cast<const Pair*>(p));
  const auto mask = static_cast<__mmask32>(count > 0 ? (1ull << count) - 1 : 0);
  return reinterpret_cast<Vec<float>>(_mm512_maskz_loadu_epi16(mask, p));
}

#endif

PASSBAND_LEVEL_END
