// Register loops for the arithmetic peaks, streaming loops for the memory bandwidth.
#include "experiments/bench/peak.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#if defined(__AMX_BF16__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "tensor/core/tensor.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/vector.h"

namespace passband::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs `round` (which does `flop` operations) on every thread for about `seconds`; all threads'
// operations per second.
template <class Round> double rate(double seconds, double flop, const Round& round) {
  int64_t rounds = 0;
  const double begin = now();
#pragma omp parallel num_threads(thread_count()) reduction(+ : rounds)
  for (const double end = begin + seconds; now() < end;) {
    round();
    ++rounds;
  }
  return static_cast<double>(rounds) * flop / (now() - begin) / 1e9;
}

// Independent sums: enough to hide the latency of two units, few enough for 16 registers.
constexpr int kChains = 12;
constexpr int kSteps = 4096;

// Keeps the compiler from knowing the value: it would merge equal chains into one.
template <class V> void hide(V& value) { asm volatile("" : "+v"(value)); }

void f32_round() {
  using cpu::Vec;
  Vec<float> sums[kChains] = {};
  const Vec<float> a = cpu::splat(0.999f);
  Vec<float> b = cpu::splat(1e-3f);
  hide(b);
  for (Vec<float>& sum : sums) hide(sum);
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (Vec<float>& sum : sums) sum = sum * a + b;
  for (auto& sum : sums) hide(sum);
}

#if defined(__AVX512BF16__)
void bf16_round() {
  __m512 sums[kChains] = {};
  __m512i bits = _mm512_set1_epi16(0x3f80);
  hide(bits);
  for (__m512& sum : sums) hide(sum);
  const auto pairs = std::bit_cast<__m512bh>(bits);
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, pairs, pairs);
  for (auto& sum : sums) hide(sum);
}
#endif

#if defined(__AMX_BF16__)
// Linux hands out tile registers on request (arch/x86: ARCH_REQ_XCOMP_PERM for XTILEDATA).
bool tiles_allowed() {
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool yes = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return yes;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Four sums in tiles 0 to 3 from two left and two right operands, as a matrix kernel has them.
void tile_round() {
  static const TileConfig config;  // static: GCC 12 would drop the stores into a local one
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int i = 0; i < kSteps; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
#endif

// Best of five passes of `pass` over arrays of 64 MiB; `arrays` of them are read or written.
template <class Pass> double bandwidth(int arrays, const Pass& pass) {
  constexpr int64_t kElements = int64_t{1} << 24;
  Tensor a = Tensor::full({kElements}, 1), b = Tensor::full({kElements}, 2),
         c = Tensor::full({kElements}, 3);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double begin = now();
    cpu::parallel_for(kElements, cpu::kGrain, [&](int64_t from, int64_t to) {
      pass(a.data<float>() + from, b.data<float>() + from, c.data<float>() + from, to - from);
    });
    best = std::max(best, arrays * kElements * 4 / (now() - begin) / 1e9);
  }
  return best;
}

}  // namespace

double f32_peak(double seconds) {
  return rate(seconds, 2.0 * kSteps * kChains * cpu::kLanes<float>, f32_round);
}

double bf16_peak(double seconds) {
#if defined(__AVX512BF16__)
  return rate(seconds, 64.0 * kSteps * kChains, bf16_round);
#else
  return f32_peak(seconds);
#endif
}

double matrix_peak([[maybe_unused]] double seconds) {
#if defined(__AMX_BF16__)
  if (tiles_allowed()) return rate(seconds, 4.0 * kSteps * 2 * 16 * 16 * 32, tile_round);
#endif
  return 0;
}

double copy_bandwidth() {
  return bandwidth(2, [](float* a, const float* b, const float*, int64_t n) {
    std::memcpy(a, b, static_cast<size_t>(n) * sizeof(float));
  });
}

double triad_bandwidth() {
  return bandwidth(3, [](float* a, const float* b, const float* c, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) a[i] = b[i] + 0.5f * c[i];
  });
}

}  // namespace passband::bench
