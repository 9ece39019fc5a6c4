// CPU reductions. The tree of additions depends on the shape alone, never on the number of threads.
#include "tensor/cpu/loops.h"
#include "tensor/ops/reduce_kernels.h"

LEVEL_BEGIN
namespace {

// Rounds once: f64 goes to bf16 through f32, whose own rounding is far below a bf16 step.
template <class T> void store_sum(T& y, double value) {
  store(y, static_cast<Accumulate<T>>(value));
}

template <class T> double sum_block(const T* x, int64_t n) {
  return static_cast<double>(block_sum<Accumulate<T>>(n, [=](int64_t i) { return widen(x[i]); }));
}

template <class To, class From>
void sum_rows(To* y, const From* x, int64_t rows, int64_t n, double scale) {
  const int64_t blocks = std::max<int64_t>(1, (n + kBlock - 1) / kBlock);
  if (blocks == 1) {
    parallel_for(rows, grain_for(n), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        store_sum(y[row], scale * sum_block(x + row * n, n));
    });
    return;
  }
  std::vector<double> partial(static_cast<size_t>(rows * blocks));
  parallel_for(rows * blocks, grain_for(kBlock), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task / blocks, start = task % blocks * kBlock;
      partial[static_cast<size_t>(task)] =
          sum_block(x + row * n + start, std::min(kBlock, n - start));
    }
  });
  for (int64_t row = 0; row < rows; ++row) {
    double total = 0;
    for (int64_t block = 0; block < blocks; ++block)
      total += partial[static_cast<size_t>(row * blocks + block)];
    store_sum(y[row], scale * total);
  }
}

constexpr int64_t kTile = 256;        // columns summed together: their sums stay in the L1 cache
constexpr int64_t kFlushRows = 256;   // rows that one f32 sum takes before it goes to f64
constexpr int64_t kChunkRows = 1024;  // least rows of one task

// total[c] = sum over rows of x[row, c], for `width` <= kTile columns of rows that are `stride`
// elements apart.
template <class From>
void tile_sum(double* total, const From* x, int64_t rows, int64_t stride, int64_t width) {
  Accumulate<From> lane[kTile];
  std::fill_n(total, width, 0.0);
  for (int64_t first = 0; first < rows; first += kFlushRows) {
    const int64_t stop = std::min(rows, first + kFlushRows);
    std::fill_n(lane, width, Accumulate<From>(0));
    for (int64_t row = first; row < stop; ++row) {
      const From* from = x + row * stride;
#pragma omp simd
      for (int64_t c = 0; c < width; ++c) lane[c] += widen(from[c]);
    }
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) total[c] += static_cast<double>(lane[c]);
  }
}

template <class To, class From>
void sum_columns(To* y, const From* x, const Reduction& r, double scale) {
  const int64_t tiles = (r.inner + kTile - 1) / kTile;
  const int64_t rows = std::max(kChunkRows, (r.n + 63) / 64),
                chunks = std::max<int64_t>(1, (r.n + rows - 1) / rows);
  std::vector<double> partial(chunks > 1 ? static_cast<size_t>(r.outer * chunks * r.inner) : 0);
  parallel_for(r.outer * chunks * tiles, grain_for(std::min(r.n, rows) * std::min(kTile, r.inner)),
               [&](int64_t begin, int64_t end) {
                 double total[kTile];
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t tile = task % tiles, chunk = task / tiles % chunks,
                                 outer = task / tiles / chunks;
                   const int64_t start = tile * kTile, width = std::min(kTile, r.inner - start);
                   const From* from = x + (outer * r.n + chunk * rows) * r.inner + start;
                   tile_sum(total, from, std::min(rows, r.n - chunk * rows), r.inner, width);
                   if (chunks > 1) {
                     std::copy_n(total, width,
                                 partial.data() + (outer * chunks + chunk) * r.inner + start);
                   } else {
                     for (int64_t c = 0; c < width; ++c)
                       store_sum(y[outer * r.inner + start + c], scale * total[c]);
                   }
                 }
               });
  if (chunks == 1) return;
  for (int64_t i = 0; i < r.outer * r.inner; ++i) {
    double total = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      total += partial[static_cast<size_t>((i / r.inner * chunks + chunk) * r.inner + i % r.inner)];
    store_sum(y[i], scale * total);
  }
}

template <class T> T* raw(Tensor& tensor) { return static_cast<T*>(tensor.raw()); }
template <class T> const T* raw(const Tensor& tensor) {
  return static_cast<const T*>(tensor.raw());
}

}  // namespace

void sum(Tensor y, const Tensor& x, const Reduction& r, double scale) {
  dispatch_floating(y.dtype(), "sum", [&]<class To>() {
    dispatch_floating(x.dtype(), "sum", [&]<class From>() {
      if (r.inner == 1) sum_rows<To, From>(y.data<To>(), x.data<From>(), r.outer, r.n, scale);
      else sum_columns<To, From>(y.data<To>(), x.data<From>(), r, scale);
    });
  });
}

void argmax(Tensor index, const Tensor& x, const Reduction& r) {
  dispatch_floating(x.dtype(), "argmax", [&]<class T>() {
    const T* from = x.data<T>();
    int32_t* to = index.data<int32_t>();
    parallel_for(r.outer * r.inner, grain_for(r.n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* column = from + i / r.inner * r.n * r.inner + i % r.inner;
        int64_t best = 0;
        for (int64_t k = 1; k < r.n; ++k) {
          const auto value = widen(column[k * r.inner]), least = widen(column[best * r.inner]);
          if (value > least || (value != value && least == least)) best = k;
        }
        to[i] = static_cast<int32_t>(best);
      }
    });
  });
}

void pick_along(Tensor y, const Tensor& x, const Tensor& index, const Reduction& r) {
  dispatch_width(x.dtype(), [&]<class T>() {
    const T* from = raw<T>(x);
    T* to = raw<T>(y);
    const int32_t* at = index.data<int32_t>();
    parallel_for(r.outer * r.inner, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        to[i] = from[(i / r.inner * r.n + at[i]) * r.inner + i % r.inner];
    });
  });
}

void put_along(Tensor x, const Tensor& y, const Tensor& index, const Reduction& r) {
  dispatch_width(x.dtype(), [&]<class T>() {
    const T* from = raw<T>(y);
    T* to = raw<T>(x);
    const int32_t* at = index.data<int32_t>();
    parallel_for(r.outer, grain_for(r.n * r.inner), [&](int64_t begin, int64_t end) {
      std::fill(to + begin * r.n * r.inner, to + end * r.n * r.inner, T(0));
      for (int64_t i = begin * r.inner; i < end * r.inner; ++i)
        to[(i / r.inner * r.n + at[i]) * r.inner + i % r.inner] = from[i];
    });
  });
}

void expand(Tensor y, const Tensor& x, const Broadcast& loops) {
  const auto last = static_cast<size_t>(loops.rank - 1);
  const int64_t width = loops.size[last], step = loops.a[last];
  dispatch_width(x.dtype(), [&]<class T>() {
    const T* from = raw<T>(x);
    T* to = raw<T>(y);
    parallel_for(y.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t row = i / width, column = i - row * width,
                      count = std::min(width - column, end - i);
        const T* source = from + loops.row_offset(loops.a, row);
        if (step == 0) std::fill_n(to + i, count, *source);
        else std::copy_n(source + column, count, to + i);
        i += count;
      }
    });
  });
}

LEVEL_END
