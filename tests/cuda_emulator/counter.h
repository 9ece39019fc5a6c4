// What a GPU would count of a kernel's memory traffic, for kernels compiled with COUNTED
// (passband_emulated_kernels): exact for the model below, and no more than that.
//
// The lanes of a warp that execute the same access for the same time (since the last barrier or
// __syncwarp) make one warp instruction. Of global memory it moves the 32-byte sectors that it
// touches, whatever part of them it asked for; caches are not modelled, so what is read twice
// counts twice. Shared memory has 32 banks of 4 bytes: an access takes as many passes as the bank
// with most distinct words needs; 8 bytes a lane are served by half warps and 16 by quarters, of
// which each takes a pass of its own without being a conflict (CUDA C++ Programming Guide, compute
// capability 5 and later). A pass beyond those is a conflict. Arithmetic and addresses are not
// counted: how many instructions they take is the compiler's.
#pragma once
#include <cstdint>

namespace passband::emulator {

struct MemoryCounts {
  uint64_t global_instructions = 0;  // of warps: loads, stores, atomics, asynchronous copies
  uint64_t global_bytes = 0;         // that the lanes asked for
  uint64_t global_sectors = 0;       // of 32 bytes that were moved
  uint64_t shared_instructions = 0;
  uint64_t shared_bytes = 0;
  uint64_t shared_passes = 0;   // of shared memory's 32 banks
  uint64_t bank_conflicts = 0;  // passes beyond those that so many bytes need
};

// Since the last reset; a kernel that has been launched and waited for is counted whole.
MemoryCounts memory_counts();
void reset_memory_counts();

}  // namespace passband::emulator
