// A matrix product by warp groups (wgmma): bf16, sums in f32. As tensor_core_product.cuh, whose
// sources, output and tiles it shares, but twice as fast: fragments are not loaded into registers,
// and the tensor cores run at their full rate. For operands of whole, aligned runs of 16 bytes, on
// compute capability 9.0.
//
// A stage of shared memory holds 64 of k, in the layout that the instruction reads by itself: lines
// of 128 bytes, their runs of 16 exclusive-or-ed with the line's number. A line is a row of the
// operand, or 64 of its rows at one step of k. While one stage is multiplied the next is on its
// way, and the one before it may still be read: it is overwritten a stage later.
//
// Measured on an H200 (experiments/gpu/findings.md), 8192^3: 609 TFLOP/s by the large tile where
// cuBLASLt reaches 784, and 316 with mma.sync. The large tile fetches 85 FLOP for a byte, so at 8
// TB/s of the second-level cache it is bound at 680. Considered: 128 x 256, 2 % less on large
// products, 10 % more on 3x3 convolutions of 256 channels; 128 x 128, twice on a multiprocessor: 10
// to 25 % less, but for k of 128.
#pragma once
#include "tensor/cuda/tensor_core_product.cuh"
#include "tensor/cuda/warpgroup.cuh"

namespace passband::cuda {

template <int tile_m, int tile_n, int blocks> struct WarpgroupTile {
  static constexpr int kM = tile_m, kN = tile_n, kWarpM = 16, kWarpN = tile_n, kWarpColumns = 1;
  static constexpr int kThreads = 2 * kM;  // four warps for each 64 rows
  static constexpr int kBlocks = blocks;   // on a multiprocessor at a time
  static constexpr int kDepth = 64, kStages = 4;
  static constexpr int kStageA = kM * kDepth * 2, kStageB = kN * kDepth * 2;  // bytes
  static constexpr int kStage = kStageA + kStageB, kSharedBytes = kStages * kStage;
};

// How one operand lies in a stage, and what the instruction is told of it (PTX ISA, "Matrix
// descriptor", 128-byte swizzling): the stage begins at a multiple of 1,024 bytes.
template <Major major, int extent> struct SwizzledStage {
  static constexpr int kRun = 8, kDepth = 64, kLine = 64;  // elements
  static constexpr int kPeriod = 8;                        // lines that are shuffled differently
  static constexpr int kLines = major == Major::k ? extent : kDepth;
  static constexpr int kRunsOfLine = (major == Major::k ? kDepth : extent) / kRun;

  static __device__ __forceinline__ int offset(int line, int run) {
    return run / 8 * (kDepth * kLine) + line * kLine + ((run % 8) ^ (line & 7)) * kRun;
  }
  // The 64 rows from `row` on, the 16 of k from 16 * step on.
  static __device__ __forceinline__ uint64_t operand(SharedAddress stage, int row, int step) {
    constexpr uint64_t kEightLines = 8 * kLine * 2 / 16, kSwizzled = uint64_t{1} << 62;
    constexpr uint64_t kNextRows = major == Major::k ? 1 : kDepth * kLine * 2 / 16;
    const int at = major == Major::k ? (row * kLine + step * 16) * 2
                                     : (row / kLine * kDepth + step * 16) * kLine * 2;
    return operand_address(stage + at) | kNextRows << 16 | kEightLines << 32 | kSwizzled;
  }
};

template <class Tile, class SourceA, class SourceB, class Output>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    warpgroup_product_kernel(SourceA a, SourceB b, Output out, PartialSums<float> partial,
                             ProductGrid grid) {
#if defined(PASSBAND_HAS_WARPGROUPS)
  using StageA = SwizzledStage<SourceA::major, Tile::kM>;
  using StageB = SwizzledStage<SourceB::major, Tile::kN>;
  constexpr int kDepth = Tile::kDepth, kAhead = Tile::kStages - 2;  // stages on their way
  DYNAMIC_SHARED(unsigned char, shared);
  const SharedAddress first = shared_address(shared), end = first + Tile::kSharedBytes;
  const BlockTile tile(grid, Tile::kM, Tile::kN);
  a.select(tile.batch);
  b.select(tile.batch);
  const StageFetcher<SourceA, StageA, Tile::kThreads, true> fetch_a(a, tile.row);
  const StageFetcher<SourceB, StageB, Tile::kThreads, true> fetch_b(b, tile.column);
  const auto fetch = [&](SharedAddress stage, int k0) {
    if (k0 < tile.k_end) {
      fetch_a.fetch(a, stage, k0);
      fetch_b.fetch(b, stage + Tile::kStageA, k0);
    }
    async_copy_commit();  // also of nothing: groups are counted
  };
  const auto after = [&](SharedAddress stage) {
    return stage + Tile::kStage == end ? first : stage + Tile::kStage;
  };

  WarpSums<Tile> sums;
  const int row = static_cast<int>(threadIdx.x) / 128 * 64;  // of this warp group
  SharedAddress stage = first, next = first;
#pragma unroll
  for (int i = 0; i < kAhead; ++i, next = after(next)) fetch(next, tile.k_begin + i * kDepth);
  for (int k0 = tile.k_begin; k0 < tile.k_end; k0 += kDepth) {
    async_copy_wait<kAhead - 1>();
    fence_async_proxy();
    __syncthreads();  // this stage has arrived, and everybody is done with the one before the last
    warpgroup_begin();
#pragma unroll
    for (int step = 0; step < kDepth / 16; ++step)
      warpgroup_multiply_add<SourceA::major == Major::side, SourceB::major == Major::side>(
          sums.d[0], StageA::operand(stage, row, step),
          StageB::operand(stage + Tile::kStageA, 0, step));
    warpgroup_commit();
    fetch(next, k0 + kAhead * kDepth);
    warpgroup_wait<1>();
    stage = after(stage);
    next = after(next);
  }
  warpgroup_wait<0>();
  async_copy_wait<0>();
  __syncthreads();
  sums.store(shared, out, partial, grid, tile);
#endif
}

}  // namespace passband::cuda
