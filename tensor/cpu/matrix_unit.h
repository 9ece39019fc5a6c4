// The matrix unit of x86 CPUs (AMX, from Sapphire Rapids on): eight tile registers of 16 x 64
// bytes, and the product of two bf16 tiles added to an f32 one.
#pragma once
#include <cstdint>

#include "tensor/cpu/level_code.h"

// Defined in code of levels whose machines may have the unit.
#if PASSBAND_VECTOR_BYTES == 64
#define PASSBAND_MATRIX_UNIT 1
#endif

namespace passband::cpu::matrix_unit {

// The level in use has it.
bool available();

// While one is alive, this thread's tile registers are 16 rows of 64 bytes each.
class Tiles {
 public:
  Tiles();
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

#ifdef PASSBAND_MATRIX_UNIT
// Written as assembly because GCC 12's intrinsics do not tell the compiler that they read and write
// memory.

template <int tile> [[gnu::always_inline]] inline void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(tile));
}

// Rows `stride` bytes apart.
template <int tile> [[gnu::always_inline]] inline void load(const void* from, int64_t stride = 64) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
}

template <int tile> [[gnu::always_inline]] inline void store(void* to, int64_t stride = 64) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
}

// sums (16, 16) += a (16, 32) b (32, 16). A 32-bit word of a holds the bf16 entries (row, 2 i) and
// (row, 2 i + 1), one of b the entries (2 i, column) and (2 i + 1, column); the lower half comes
// first. Subnormal numbers count as 0.
template <int sums, int a, int b> [[gnu::always_inline]] inline void multiply_add() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(a), "i"(b));
}
#endif

}  // namespace passband::cpu::matrix_unit
