// The most arithmetic that a core does at the level in use: loops over registers that do nothing
// else, a yardstick for kernels.
#pragma once
#include "tensor/cpu/kernel.h"

namespace passband::cpu {

// Each runs for some microseconds and returns the operations that it did, a multiply-add counting
// as two; 0 where the level has no such instruction. Fused multiply-adds of f32 vectors (on levels
// that fuse none, a multiplication and an addition), dot products of pairs of bf16 numbers, and
// products of bf16 tiles.
PASSBAND_CPU_KERNEL(f32_peak_round, double());
PASSBAND_CPU_KERNEL(bf16_peak_round, double());
PASSBAND_CPU_KERNEL(tile_peak_round, double());

}  // namespace passband::cpu
