#include "tensor/cpu/peak.h"

#include "tensor/cpu/matrix_unit.h"
#include "tensor/cpu/vector.h"

LEVEL_BEGIN
namespace {

// Independent sums: enough to hide the latency of two units, few enough for 16 registers.
constexpr int kChains = 12;
constexpr int kSteps = 4096;

// Keeps the compiler from knowing the value: it would merge equal chains into one.
#if defined(__x86_64__)
void hide(Vec<float>& value) { asm volatile("" : "+x"(value)); }
#else
void hide(Vec<float>& value) { asm volatile("" : "+w"(value)); }
#endif

}  // namespace

double f32_peak_round() {
  Vec<float> sums[kChains] = {};
  const Vec<float> a = splat(0.999f);
  Vec<float> b = splat(1e-3f);
  hide(b);
  for (Vec<float>& sum : sums) hide(sum);
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (Vec<float>& sum : sums) sum = sum * a + b;
  for (Vec<float>& sum : sums) hide(sum);
  return 2.0 * kSteps * kChains * kLanes<float>;
}

#if PASSBAND_VECTOR_BYTES == 64

double bf16_peak_round() {
  if (level() < Level::avx512_bf16) return 0;
  Vec<float> sums[kChains] = {};
  const VecWord pairs = VecWord{} + 0x3f803f80u;  // ones
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (Vec<float>& sum : sums) asm volatile("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(pairs));
  return 4.0 * kSteps * kChains * kLanes<float>;
}

// Four sums from two left and two right operands, as a kernel has them.
double tile_peak_round() {
  using namespace matrix_unit;
  if (!available()) return 0;
  const Tiles registers;
  clear<0>(), clear<1>(), clear<2>(), clear<3>();
  clear<4>(), clear<5>(), clear<6>(), clear<7>();
  for (int i = 0; i < kSteps; ++i) {
    multiply_add<0, 4, 6>(), multiply_add<1, 4, 7>();
    multiply_add<2, 5, 6>(), multiply_add<3, 5, 7>();
  }
  return 4.0 * kSteps * 2 * 16 * 16 * 32;
}

#else

double bf16_peak_round() { return 0; }
double tile_peak_round() { return 0; }

#endif

LEVEL_END
