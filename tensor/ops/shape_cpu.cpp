// CPU loops that move elements: bytes for ranges, blocked transposes for permutations.
#include <cstring>

#include "tensor/cpu/loops.h"
#include "tensor/ops/shape_kernels.h"

LEVEL_BEGIN

void clear(Tensor y) {
  auto* bytes = static_cast<std::byte*>(y.raw());
  parallel_for(y.numel() * size_of(y.dtype()), 4 * kGrain, [=](int64_t begin, int64_t end) {
    std::memset(bytes + begin, 0, static_cast<size_t>(end - begin));
  });
}

namespace {

// Where the copied elements lie one by one, or `inner` of them together.
template <class T> void copy_steps(Tensor y, const Tensor& x, const CopyRange& r) {
  const int64_t inner = x.shape().inner(r.dim), step_x = r.from_step * inner,
                step_y = r.to_step * inner, row_x = x.size(r.dim) * inner,
                row_y = y.size(r.dim) * inner;
  const T* from = static_cast<const T*>(x.raw()) + r.from * inner;
  T* to = static_cast<T*>(y.raw()) + r.to * inner;
  parallel_for(x.shape().outer(r.dim) * r.length, grain_for(inner),
               [=](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t row = i / r.length, k = i % r.length;
                   const T* source = from + row * row_x + k * step_x;
                   T* target = to + row * row_y + k * step_y;
                   if (inner == 1) *target = *source;
                   else std::memcpy(target, source, static_cast<size_t>(inner) * sizeof(T));
                 }
               });
}

}  // namespace

void copy_range(Tensor y, const Tensor& x, const CopyRange& range) {
  if (!range.contiguous())
    return dispatch_width(x.dtype(), [&]<class T>() { copy_steps<T>(y, x, range); });
  const int64_t inner = x.shape().inner(range.dim) * size_of(x.dtype()),
                outer = x.shape().outer(range.dim);
  const int64_t step_x = x.size(range.dim) * inner, step_y = y.size(range.dim) * inner,
                bytes = range.length * inner;
  const auto* from = static_cast<const std::byte*>(x.raw()) + range.from * inner;
  auto* to = static_cast<std::byte*>(y.raw()) + range.to * inner;
  if (outer == 1) {
    parallel_for(bytes, 4 * kGrain, [=](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
    return;
  }
  parallel_for(outer, grain_for(bytes / 4), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(to + row * step_y, from + row * step_x, static_cast<size_t>(bytes));
  });
}

namespace {

// Start in x of row `row` of y, over the first `outer` dimensions.
int64_t row_offset(const Permutation& p, int outer, int64_t row) {
  int64_t offset = 0;
  for (int d = outer - 1; d >= 0; --d) {
    const auto at = static_cast<size_t>(d);
    offset += row % p.size[at] * p.stride[at];
    row /= p.size[at];
  }
  return offset;
}

// The last dimension of y is contiguous in x: rows move whole.
template <class T> void permute_rows(T* y, const T* x, int64_t n, const Permutation& p) {
  const int64_t width = p.size[static_cast<size_t>(p.rank - 1)];
  parallel_for(n / width, grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* from = x + row_offset(p, p.rank - 1, row);
      if (width <= 32) std::copy_n(from, width, y + row * width);
      else std::memcpy(y + row * width, from, static_cast<size_t>(width) * sizeof(T));
    }
  });
}

// The last dimension of y is strided in x, and dimension `along` of y is contiguous in x: blocks of
// both are transposed while they sit in the cache.
template <class T>
void permute_blocks(T* y, const T* x, int64_t n, const Permutation& p, int along) {
  constexpr int64_t kBlock = 32;
  const auto last = static_cast<size_t>(p.rank - 1), fast = static_cast<size_t>(along);
  const int64_t columns = p.size[last], stride = p.stride[last], rows = p.size[fast];
  int64_t y_step = columns;  // elements of y between neighbours along `fast`
  for (size_t d = fast + 1; d < last; ++d) y_step *= p.size[d];
  const int64_t middle = y_step / columns, row_blocks = (rows + kBlock - 1) / kBlock;
  const int64_t outer = n / (rows * y_step);
  const int64_t tasks = outer * row_blocks * middle;
  parallel_for(tasks, grain_for(kBlock * columns), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t m = task % middle, block = task / middle % row_blocks;
      const int64_t first = (task / middle / row_blocks) * rows + block * kBlock;
      const int64_t count = std::min(kBlock, rows - block * kBlock);
      const T* from = x + row_offset(p, p.rank - 1, first * middle + m);
      T* to = y + first * y_step + m * columns;
      for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
        const int64_t c1 = std::min(columns, c0 + kBlock);
        for (int64_t r = 0; r < count; ++r)
          for (int64_t c = c0; c < c1; ++c) to[r * y_step + c] = from[r + c * stride];
      }
    }
  });
}

template <class T> void permute_elements(Tensor y, const Tensor& x, const Permutation& p) {
  T* to = static_cast<T*>(y.raw());
  const T* from = static_cast<const T*>(x.raw());
  if (y.numel() == 0) return;
  const auto fast = std::find(p.stride.begin(), p.stride.begin() + p.rank, 1) - p.stride.begin();
  if (fast == p.rank - 1) permute_rows(to, from, y.numel(), p);
  else permute_blocks(to, from, y.numel(), p, static_cast<int>(fast));
}

}  // namespace

void permute(Tensor y, const Tensor& x, const Permutation& p) {
  dispatch_width(x.dtype(), [&]<class T>() { permute_elements<T>(y, x, p); });
}

LEVEL_END
