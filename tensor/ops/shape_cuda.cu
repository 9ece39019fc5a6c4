// CUDA kernels that move elements.
//
// Bound by memory: each byte is read and written once, nothing is computed. Rows that stay whole
// move in units of up to 16 bytes. A permutation that moves the fastest dimension goes through
// tiles in shared memory, so that both sides see whole segments: with elements of 2 bytes a tile is
// 64 x 64 (segments of 128 bytes), otherwise 32 x 32. A row of a tile is padded by one word: the
// columns of a tile fall into different banks.
// Considered: strided tensors instead of copies; every other kernel would then have to look up its
// elements.
#include "tensor/cuda/indexing.cuh"
#include "tensor/cuda/stream.h"
#include "tensor/ops/shape_kernels.h"

namespace passband::cuda {
namespace {

constexpr int kThreads = 256;

struct alignas(16) Unit16 {
  uint64_t low, high;
};

// Calls f.template operator()<Unit>() with the largest unit of at most 16 bytes that divides
// `bytes`: the OR of all addresses, steps and sizes of a copy.
template <class F> void dispatch_unit(uint64_t bytes, F&& f) {
  if (bytes % 16 == 0) return f.template operator()<Unit16>();
  if (bytes % 8 == 0) return f.template operator()<uint64_t>();
  if (bytes % 4 == 0) return f.template operator()<uint32_t>();
  if (bytes % 2 == 0) return f.template operator()<uint16_t>();
  return f.template operator()<uint8_t>();
}

// y at offset[0] = x at offset[1], for n positions of the loops.
template <class T> __global__ void __launch_bounds__(kThreads)
    copy_kernel(T* y, const T* x, int64_t n, StridedLoops<2> loops) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  int64_t offset[2];
  loops.offsets(i, offset);
  y[offset[0]] = x[offset[1]];
}

template <class T> void launch_copy(T* y, const T* x, int64_t n, const StridedLoops<2>& loops) {
  launch({.grid = blocks_for(n, kThreads), .block = kThreads, .stream = compute_stream()},
         copy_kernel<T>, y, x, n, loops);
}

uint64_t address_of(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }

// Elements of y between neighbours along each of its dimensions.
std::array<int64_t, Shape::kMaxRank> steps_of(const Permutation& p) {
  std::array<int64_t, Shape::kMaxRank> steps{};
  int64_t step = 1;
  for (int d = p.rank - 1; d >= 0; --d) {
    steps[static_cast<size_t>(d)] = step;
    step *= p.size[static_cast<size_t>(d)];
  }
  return steps;
}

// The last dimension of y is contiguous in x: rows move whole.
void permute_rows(Tensor y, const Tensor& x, const Permutation& p) {
  const int64_t width = size_of(x.dtype());
  const auto last = static_cast<size_t>(p.rank - 1);
  const auto steps = steps_of(p);
  uint64_t bytes =
      address_of(y.raw()) | address_of(x.raw()) | static_cast<uint64_t>(p.size[last] * width);
  for (size_t d = 0; d < last; ++d) bytes |= static_cast<uint64_t>(p.stride[d] * width);
  dispatch_unit(bytes, [&]<class U>() {
    constexpr int64_t kUnit = sizeof(U);
    StridedLoops<2> loops;
    for (size_t d = 0; d < last; ++d)
      loops.push_back(p.size[d], {steps[d] * width / kUnit, p.stride[d] * width / kUnit});
    loops.push_back(p.size[last] * width / kUnit, {1, 1});
    launch_copy(static_cast<U*>(y.raw()), static_cast<const U*>(x.raw()), y.numel() * width / kUnit,
                loops);
  });
}

template <class T> constexpr int kTile = sizeof(T) <= 2 ? 64 : 32;

// The two dimensions of a transpose: `fast` is contiguous in x, `last` in y.
struct TransposedPlane {
  int64_t fast, last;            // their sizes
  int64_t fast_step, last_step;  // elements of y between neighbours along fast, of x along last
  Divisor fast_tiles, last_tiles;
};

// One tile per block; `others` are the loops over the remaining dimensions (operand 0 is y, 1 is
// x).
template <class T> __global__ void __launch_bounds__(kThreads)
    transpose_kernel(T* y, const T* x, TransposedPlane plane, StridedLoops<2> others) {
  constexpr int kSide = kTile<T>, kPadding = sizeof(T) < 4 ? 4 / sizeof(T) : 1,
                kLines = kThreads / 32;
  SHARED(T, tile, [kSide][kSide + kPadding]);
  const int column = threadIdx.x % 32, line = threadIdx.x / 32;
  const int64_t rest = plane.last_tiles.quotient(blockIdx.x),
                other = plane.fast_tiles.quotient(rest);
  const int64_t last0 = (blockIdx.x - rest * plane.last_tiles.value()) * kSide;
  const int64_t fast0 = (rest - other * plane.fast_tiles.value()) * kSide;
  int64_t offset[2];
  others.offsets(other, offset);
  const T* from = x + offset[1] + last0 * plane.last_step + fast0;
  for (int l = line; l < min(int64_t{kSide}, plane.last - last0); l += kLines)
    for (int f = column; f < min(int64_t{kSide}, plane.fast - fast0); f += 32)
      tile[l][f] = from[l * plane.last_step + f];
  __syncthreads();
  T* to = y + offset[0] + fast0 * plane.fast_step + last0;
  for (int f = line; f < min(int64_t{kSide}, plane.fast - fast0); f += kLines)
    for (int l = column; l < min(int64_t{kSide}, plane.last - last0); l += 32)
      to[f * plane.fast_step + l] = tile[l][f];
}

// The last dimension of y is strided in x, dimension `fast` of y is contiguous in x.
template <class T>
void permute_tiles(T* y, const T* x, int64_t n, const Permutation& p, size_t fast) {
  const auto last = static_cast<size_t>(p.rank - 1);
  const auto steps = steps_of(p);
  StridedLoops<2> others;
  for (size_t d = 0; d < last; ++d)
    if (d != fast) others.push_back(p.size[d], {steps[d], p.stride[d]});
  const int64_t side = kTile<T>, fast_tiles = (p.size[fast] + side - 1) / side,
                last_tiles = (p.size[last] + side - 1) / side;
  const TransposedPlane plane{p.size[fast],   p.size[last],        steps[fast],
                              p.stride[last], Divisor(fast_tiles), Divisor(last_tiles)};
  const int64_t planes = n / (p.size[fast] * p.size[last]);
  launch({.grid = blocks_for(planes * fast_tiles * last_tiles, 1),
          .block = kThreads,
          .stream = compute_stream()},
         transpose_kernel<T>, y, x, plane, others);
}

// Planes too thin for tiles: one thread per element, the cache joins what neighbours read.
template <class T> void permute_elements(T* y, const T* x, int64_t n, const Permutation& p) {
  const auto steps = steps_of(p);
  StridedLoops<2> loops;
  for (size_t d = 0; d < static_cast<size_t>(p.rank); ++d)
    loops.push_back(p.size[d], {steps[d], p.stride[d]});
  launch_copy(y, x, n, loops);
}

constexpr int64_t kThinPlane = 8;

// A range whose elements along its dimension do not follow one another in x, or in y.
void copy_steps(Tensor y, const Tensor& x, const CopyRange& r) {
  const int64_t width = size_of(x.dtype()), inner = x.shape().inner(r.dim) * width;
  const auto* from = static_cast<const std::byte*>(x.raw()) + r.from * inner;
  auto* to = static_cast<std::byte*>(y.raw()) + r.to * inner;
  const auto bytes = address_of(from) | address_of(to) | static_cast<uint64_t>(inner);
  dispatch_unit(bytes, [&]<class U>() {
    const int64_t units = inner / static_cast<int64_t>(sizeof(U));
    StridedLoops<2> loops;
    loops.push_back(x.shape().outer(r.dim), {y.size(r.dim) * units, x.size(r.dim) * units});
    loops.push_back(r.length, {r.to_step * units, r.from_step * units});
    loops.push_back(units, {1, 1});
    launch_copy(reinterpret_cast<U*>(to), reinterpret_cast<const U*>(from),
                x.shape().outer(r.dim) * r.length * units, loops);
  });
}

}  // namespace

void copy_range(Tensor y, const Tensor& x, const CopyRange& range) {
  const int64_t inner = x.shape().inner(range.dim) * size_of(x.dtype()),
                outer = x.shape().outer(range.dim);
  const int64_t step_x = x.size(range.dim) * inner, step_y = y.size(range.dim) * inner,
                row = range.length * inner;
  if (outer * row == 0) return;
  if (!range.contiguous()) return copy_steps(y, x, range);
  const auto* from = static_cast<const std::byte*>(x.raw()) + range.from * inner;
  auto* to = static_cast<std::byte*>(y.raw()) + range.to * inner;
  const auto bytes =
      address_of(from) | address_of(to) | static_cast<uint64_t>(row | step_x | step_y);
  dispatch_unit(bytes, [&]<class U>() {
    constexpr int64_t kUnit = sizeof(U);
    StridedLoops<2> loops;
    loops.push_back(outer, {step_y / kUnit, step_x / kUnit});
    loops.push_back(row / kUnit, {1, 1});
    launch_copy(reinterpret_cast<U*>(to), reinterpret_cast<const U*>(from), outer * row / kUnit,
                loops);
  });
}

void permute(Tensor y, const Tensor& x, const Permutation& p) {
  if (y.numel() == 0) return;
  const auto fast = static_cast<size_t>(std::find(p.stride.begin(), p.stride.begin() + p.rank, 1) -
                                        p.stride.begin());
  const auto last = static_cast<size_t>(p.rank - 1);
  if (fast == last) return permute_rows(y, x, p);
  dispatch_width(x.dtype(), [&]<class T>() {
    T* to = static_cast<T*>(y.raw());
    const T* from = static_cast<const T*>(x.raw());
    if (std::min(p.size[fast], p.size[last]) < kThinPlane) permute_elements(to, from, y.numel(), p);
    else permute_tiles(to, from, y.numel(), p, fast);
  });
}

void clear(Tensor y) {
  fill_async(y.raw(), 0, static_cast<size_t>(y.numel() * size_of(y.dtype())), compute_stream());
}

}  // namespace passband::cuda
