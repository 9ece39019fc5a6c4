// A matrix product on the tensor cores (mma.sync): bf16, and f32 rounded to tf32; sums in f32.
//
// A block makes a tile of the result from stages of 128 bytes of k (64 bf16, 32 f32), three of
// which are in shared memory: while one is multiplied, the next two are on their way (cp.async). A
// warp makes a part of the tile, 16 x 8 at a time, from fragments that ldmatrix takes out of shared
// memory.
//
// Shared memory holds runs of 16 bytes, their place within a line exclusive-or-ed with the line's
// number. So the eight rows that one ldmatrix reads, and the runs that eight threads write, always
// lie in different banks, without padding.
//
// Bound, counted, on an H200. Through mma.sync its tensor cores give some 60 % of the 790 TFLOP/s
// of wgmma, 6.5 cycles for an mma. A 128 x 128 tile does 64 FLOP per byte of bf16 that it fetches,
// so that rate is 7 TB/s from the second-level cache, which gives about 6: large products are bound
// by both, those of k < 200 by memory. They are why the result leaves through shared memory, in
// runs of 16 bytes. Shared memory: a warp of 64 x 64 reads 128 rows of 32 bytes, 32 cycles, for 32
// mma; with the four quarters of a multiprocessor reading in turn, 128 of 208 cycles. (A warp of 64
// x 32 takes 96 of 104; hence the large warps.) Considered: rows padded by 16 bytes (2-way
// conflicts when cp.async writes them), stages of 64 bytes (twice the barriers), a tile of 128 x
// 256 (85 FLOP per byte, but few products here are large enough to fill the device with it).
#pragma once
#include "tensor/cuda/async_copy.cuh"
#include "tensor/cuda/product_output.cuh"
#include "tensor/cuda/reduce.cuh"

namespace passband::cuda {

template <int tile_m, int tile_n, int rows_of_warp, int columns_of_warp, int blocks>
struct TensorCoreTile {
  static constexpr int kM = tile_m, kN = tile_n, kWarpM = rows_of_warp, kWarpN = columns_of_warp;
  static constexpr int kWarpColumns = kN / kWarpN, kThreads = 32 * (kM / kWarpM) * kWarpColumns;
  static constexpr int kBlocks = blocks;  // on a multiprocessor at a time
  static constexpr int kStages = 3, kStageBytes = 128;
  static constexpr int kSharedBytes = kStages * kStageBytes * (kM + kN);
  template <class T> static constexpr int kDepth = kStageBytes / static_cast<int>(sizeof(T));
};

// How one operand lies in a stage: lines of 16-byte runs. By k, a line is a row of a (a column of
// b); by side, a step of k.
template <class T, Major major, int extent> struct StageLayout {
  static constexpr int kRun = 16 / sizeof(T), kDepth = 128 / sizeof(T);
  static constexpr int kLines = major == Major::k ? extent : kDepth;
  static constexpr int kRunsOfLine = (major == Major::k ? kDepth : extent) / kRun;
  static constexpr int kLine = kRunsOfLine * kRun;  // elements
  static constexpr int kElements = extent * kDepth;
  // lines that are shuffled differently
  static constexpr int kPeriod = major == Major::side && sizeof(T) == 4 ? 4 : 8;

  static __device__ __forceinline__ int offset(int line, int run) {
    // f32 by side is read element by element, four lines of eight neighbours at a time: pairs of
    // runs change places.
    const int swap = major == Major::side && sizeof(T) == 4 ? (line & 3) << 1 : line & 7;
    return (line * kRunsOfLine + (run ^ swap)) * kRun;
  }
};

// Fetches an operand's stages. Each thread has its runs of every stage, and keeps what does not
// change between stages. `whole_runs`: the source's lines are known to be aligned.
template <class Source, class Layout, int threads, bool whole_runs> class StageFetcher {
 public:
  using T = typename Source::Element;

  // `first`: the row (column) that the tile begins with.
  __device__ StageFetcher(const Source& source, int first)
      : side_(first + run() * Layout::kRun), start_(bytes_at(0)) {
    if constexpr (kByK) {
#pragma unroll
      for (int i = 0; i < kRuns; ++i) lines_[i] = source.line(first + line(i));
    } else {
      place_ = source.place(side_);
    }
  }

  __device__ __forceinline__ void fetch(const Source& source, SharedAddress stage, int k0) const {
    if constexpr (kByK) {
      const int k = k0 + run() * Layout::kRun;
      const typename Source::Place place = source.place(k);
#pragma unroll
      for (int i = 0; i < kRuns; ++i)
        copy_run(source, stage + start_ + i * kStep, lines_[i], place, k);
    } else {
#pragma unroll
      for (int i = 0; i < kRuns; ++i)
        copy_run(source, stage + start_ + i * kStep, source.line(k0 + line(i)), place_, side_);
    }
  }

 private:
  static constexpr bool kByK = Source::major == Major::k;
  static constexpr int kRuns = Layout::kLines * Layout::kRunsOfLine / threads;
  static constexpr int kLineStep = threads / Layout::kRunsOfLine;  // from run to run of a thread
  static constexpr int kStep = kLineStep * Layout::kLine * static_cast<int>(sizeof(T));
  static_assert(kLineStep % Layout::kPeriod == 0, "a thread's runs are shuffled alike");

  static __device__ int run() { return static_cast<int>(threadIdx.x) % Layout::kRunsOfLine; }
  static __device__ int line(int i) {
    return static_cast<int>(threadIdx.x) / Layout::kRunsOfLine + i * kLineStep;
  }
  static __device__ int bytes_at(int i) {
    return Layout::offset(line(i), run()) * static_cast<int>(sizeof(T));
  }
  // A run from element `first` of a line on; element by element where it may be misaligned or cross
  // an end.
  static __device__ __forceinline__ void copy_run(const Source& source, SharedAddress to,
                                                  const typename Source::Line& line,
                                                  const typename Source::Place& place, int first) {
    if (whole_runs || source.aligned) {
      const T* from = source.find(line, place);
      async_copy<16>(to, from ? from : source.data, from != nullptr);
      return;
    }
    T* const elements = shared_pointer<T>(to);
#pragma unroll 1
    for (int i = 0; i < Layout::kRun; ++i) {
      const T* from = source.find(line, source.place(first + i));
      elements[i] = from ? *from : T(0.0f);
    }
  }

  typename Source::Line lines_[kByK ? kRuns : 1];
  typename Source::Place place_;
  int side_, start_;
};

// Takes fragments out of a stage; a step is 32 bytes of k: one mma deep.
template <class T, Major major, int extent> struct StageReader {
  using Layout = StageLayout<T, major, extent>;

  // Rows row to row + 15 of a.
  static __device__ __forceinline__ void load_a(uint32_t (&a)[4], const T* stage, int row,
                                                int step) {
    const int lane = threadIdx.x % 32;
    if constexpr (major == Major::k) {
      load_matrix_x4(a, stage + Layout::offset(row + lane % 16, 2 * step + lane / 16));
    } else if constexpr (sizeof(T) == 2) {
      const int k = step * 16 + lane / 16 * 8 + lane % 8;
      load_matrix_x4_transposed(a, stage + Layout::offset(k, row / 8 + lane / 8 % 2));
    } else {
#pragma unroll
      for (int r = 0; r < 4; ++r)
        a[r] = bits_at(stage, step * 8 + lane % 4 + r / 2 * 4, row + lane / 4 + r % 2 * 8);
    }
    round(a);
  }

  // Columns column to column + 7 of b in b[0] and b[1], the next eight in b[2] and b[3].
  static __device__ __forceinline__ void load_b(uint32_t (&b)[4], const T* stage, int column,
                                                int step) {
    const int lane = threadIdx.x % 32;
    if constexpr (major == Major::k) {
      load_matrix_x4(
          b, stage + Layout::offset(column + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
    } else if constexpr (sizeof(T) == 2) {
      const int k = step * 16 + lane / 8 % 2 * 8 + lane % 8;
      load_matrix_x4_transposed(b, stage + Layout::offset(k, column / 8 + lane / 16));
    } else {
#pragma unroll
      for (int r = 0; r < 4; ++r)
        b[r] = bits_at(stage, step * 8 + lane % 4 + r % 2 * 4, column + lane / 4 + r / 2 * 8);
    }
    round(b);
  }

 private:
  static __device__ __forceinline__ uint32_t bits_at(const T* stage, int k, int side) {
    return __float_as_uint(stage[Layout::offset(k, side / 4) + side % 4]);
  }
  static __device__ __forceinline__ void round(uint32_t (&fragment)[4]) {
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (uint32_t& bits : fragment) bits = tf32_bits(__uint_as_float(bits));
    }
  }
};

template <class T> __device__ __forceinline__ void multiply_add(float (&d)[4],
                                                                const uint32_t (&a)[4],
                                                                const uint32_t (&b)[2]) {
  if constexpr (sizeof(T) == 2) mma_bf16_16x8x16(d, a, b);
  else mma_tf32_16x8x8(d, a, b);
}

// A warp's part of the tile.
template <class Tile> struct WarpSums {
  static constexpr int kRows = Tile::kWarpM / 16, kColumns = Tile::kWarpN / 8;
  float d[kRows][kColumns][4] = {};

  static __device__ int first_row() {
    return static_cast<int>(threadIdx.x) / 32 / Tile::kWarpColumns * Tile::kWarpM;
  }
  static __device__ int first_column() {
    return static_cast<int>(threadIdx.x) / 32 % Tile::kWarpColumns * Tile::kWarpN;
  }

  template <class T, Major major_a, Major major_b>
  __device__ __forceinline__ void add_stage(const T* a_stage, const T* b_stage) {
    constexpr int kSteps = Tile::kStageBytes / 32;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint32_t a[kRows][4], b[kColumns / 2][4];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        StageReader<T, major_a, Tile::kM>::load_a(a[i], a_stage, first_row() + i * 16, step);
#pragma unroll
      for (int j = 0; j < kColumns / 2; ++j)
        StageReader<T, major_b, Tile::kN>::load_b(b[j], b_stage, first_column() + j * 16, step);
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          const uint32_t right[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
          multiply_add<T>(d[i][j], a[i], right);
        }
    }
  }

  // Through shared memory, 16 rows at a time, so that neighbouring lanes store neighbouring runs.
  template <class T, class Finish>
  __device__ __forceinline__ void store(unsigned char* shared, const ProductOutput<T, Finish>& out,
                                        const PartialSums<float>& partial, const ProductGrid& grid,
                                        const BlockTile& tile) const {
    constexpr int kStride = Tile::kWarpN + 8, kRun = 16 / sizeof(T),
                  kRunsOfRow = Tile::kWarpN / kRun;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* const slab = reinterpret_cast<float*>(shared) + warp * 16 * kStride;
    float columns[kRun] = {};  // a lane always has the same ones
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const Pack<float, 2> pair{{d[i][j][half * 2], d[i][j][half * 2 + 1]}};
          store_pack(slab + (lane / 4 + half * 8) * kStride + j * 8 + lane % 4 * 2, pair);
        }
      __syncwarp();
#pragma unroll
      for (int u = 0; u < 16 * kRunsOfRow / 32; ++u) {
        const int row = (lane + u * 32) / kRunsOfRow, column = (lane + u * 32) % kRunsOfRow * kRun;
        float sums[kRun];
#pragma unroll
        for (int e = 0; e < kRun; ++e) sums[e] = slab[row * kStride + column + e];
        store_run(out, partial, grid, tile, sums, tile.row + first_row() + i * 16 + row,
                  tile.column + first_column() + column, columns);
      }
      __syncwarp();
    }
    if constexpr (Finish::kSumsColumns) {
      if (!out.column_sums) return;
#pragma unroll
      for (int e = 0; e < kRun; ++e)
        for (int distance = kRunsOfRow; distance < 32; distance *= 2)
          columns[e] += __shfl_xor_sync(kWholeWarp, columns[e], distance);
      if (lane < kRunsOfRow && tile.row + first_row() < grid.m)
        store_columns(out, grid, columns, (tile.row + first_row()) / Tile::kWarpM,
                      tile.column + first_column() + lane * kRun);
    }
  }
};

template <class Tile, class SourceA, class SourceB, class Output>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    tensor_core_product_kernel(SourceA a, SourceB b, Output out, PartialSums<float> partial,
                               ProductGrid grid) {
  using T = typename Output::Element;
  constexpr int kDepth = Tile::template kDepth<T>, kStages = Tile::kStages;
  DYNAMIC_SHARED(unsigned char, shared);
  T* const a_stages = reinterpret_cast<T*>(shared);
  T* const b_stages = a_stages + kStages * Tile::kM * kDepth;
  const BlockTile tile(grid, Tile::kM, Tile::kN);
  a.select(tile.batch);
  b.select(tile.batch);
  const StageFetcher<SourceA, StageLayout<T, SourceA::major, Tile::kM>, Tile::kThreads, false>
      fetch_a(a, tile.row);
  const StageFetcher<SourceB, StageLayout<T, SourceB::major, Tile::kN>, Tile::kThreads, false>
      fetch_b(b, tile.column);
  const SharedAddress a_begin = shared_address(a_stages), b_begin = shared_address(b_stages);
  // Committed also when there is nothing left to fetch, so that the count of groups stays the count
  // of stages.
  const auto fetch = [&](int stage, int k0) {
    if (k0 < tile.k_end) {
      fetch_a.fetch(a, a_begin + stage * Tile::kM * Tile::kStageBytes, k0);
      fetch_b.fetch(b, b_begin + stage * Tile::kN * Tile::kStageBytes, k0);
    }
    async_copy_commit();
  };

  WarpSums<Tile> sums;
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) fetch(stage, tile.k_begin + stage * kDepth);
  int stage = 0;
  for (int k0 = tile.k_begin; k0 < tile.k_end; k0 += kDepth) {
    async_copy_wait<kStages - 2>();
    __syncthreads();  // this stage has arrived, and everybody is done with the one before it
    fetch(stage == 0 ? kStages - 1 : stage - 1, k0 + (kStages - 1) * kDepth);
    sums.template add_stage<T, SourceA::major, SourceB::major>(
        a_stages + stage * Tile::kM * kDepth, b_stages + stage * Tile::kN * kDepth);
    stage = stage == kStages - 1 ? 0 : stage + 1;
  }
  async_copy_wait<0>();
  __syncthreads();
  sums.store(shared, out, partial, grid, tile);
}

}  // namespace passband::cuda
