// The instruction-set levels that one program holds its CPU kernels for, and the one that this
// process uses.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace passband::cpu {

// Each has what those before it have. generic: what every machine of the architecture has (SSE2 on
// x86-64, NEON on aarch64), the only one but for x86-64; avx2: with FMA; avx512: F, VL, BW, DQ and
// CD; avx512_bf16: products of bf16 numbers; amx: tiles of bf16 numbers.
enum class Level : uint8_t { generic, avx2, avx512, avx512_bf16, amx };

std::string_view name_of(Level level);

// The highest that this machine, its system and this build offer.
Level highest_level();

// The level in use: the highest, or the one that PASSBAND_ISA names. Throws UsageError where that
// is none, or higher than the highest.
Level level();

// The level that `wish`, a value of PASSBAND_ISA, asks for on a machine that offers `highest`.
Level choose_level(std::string_view wish, Level highest);

// Whether PASSBAND_ISA limits the level.
bool level_is_capped();

// Of the levels that kernels are compiled for (level_code.h), the index of the one in use.
int compiled_level();

}  // namespace passband::cpu
