// CPU row selection. Sums are made row by row of the result, in index order: the same bits on any
// thread count.
#include <cstring>
#include <vector>

#include "tensor/cpu/loops.h"
#include "tensor/ops/gather_kernels.h"

LEVEL_BEGIN

void check_indices(const char* op, const Tensor& indices, int64_t bound) {
  const int32_t* index = indices.data<int32_t>();
  for (int64_t i = 0; i < indices.numel(); ++i)
    CHECK(index[i] >= 0 && index[i] < bound, op, ": index ", i, " is ", index[i], ", outside [0, ",
          bound, ")");
}

void gather(Tensor y, const Tensor& x, const Tensor& indices) {
  const int64_t count = indices.numel(), width = x.shape().inner(0),
                bytes = width * size_of(x.dtype());
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y.raw());
  const int32_t* index = indices.data<int32_t>();
  parallel_for(count, grain_for(width), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(to + i * bytes, from + index[i] * bytes, static_cast<size_t>(bytes));
  });
}

namespace {

// For each row of the result the positions that add to it: positions[start[row]] up to
// positions[start[row + 1]].
struct Sources {
  std::vector<int64_t> start, positions;
};

Sources sources_by_row(const int32_t* index, int64_t count, int64_t rows) {
  Sources s{std::vector<int64_t>(static_cast<size_t>(rows + 1)),
            std::vector<int64_t>(static_cast<size_t>(count))};
  for (int64_t i = 0; i < count; ++i) ++s.start[static_cast<size_t>(index[i]) + 1];
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) s.start[row + 1] += s.start[row];
  std::vector<int64_t> next = s.start;
  for (int64_t i = 0; i < count; ++i)
    s.positions[static_cast<size_t>(next[static_cast<size_t>(index[i])]++)] = i;
  return s;
}

}  // namespace

void scatter_add(Tensor y, const Tensor& x, const Tensor& indices) {
  const int64_t rows = y.size(0), width = y.shape().inner(0), count = indices.numel();
  const Sources sources = sources_by_row(indices.data<int32_t>(), count, rows);
  dispatch_floating(x.dtype(), "scatter_add", [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    const int64_t work = width * (1 + count / std::max<int64_t>(rows, 1));
    parallel_for(rows, grain_for(work), [&](int64_t begin, int64_t end) {
      std::vector<Accumulate<T>> sums(static_cast<size_t>(width));
      for (int64_t row = begin; row < end; ++row) {
        std::fill(sums.begin(), sums.end(), Accumulate<T>(0));
        const auto first = sources.start[static_cast<size_t>(row)],
                   stop = sources.start[static_cast<size_t>(row) + 1];
        for (int64_t k = first; k < stop; ++k) {
          const T* source = from + sources.positions[static_cast<size_t>(k)] * width;
          Accumulate<T>* sum = sums.data();
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) sum[c] += widen(source[c]);
        }
        for (int64_t c = 0; c < width; ++c)
          store(to[row * width + c], sums[static_cast<size_t>(c)]);
      }
    });
  });
}

void take_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s) {
  const int32_t* index = indices.data<int32_t>();
  dispatch_width(x.dtype(), [&]<class T>() {
    const T* from = static_cast<const T*>(x.raw());
    T* to = static_cast<T*>(y.raw());
    parallel_for(s.outer * s.count, grain_for(s.inner), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t i = 0; i < s.inner; ++i) {
          const int64_t at = row * s.inner + i;
          to[at] = from[(row / s.count * s.size + index[at]) * s.inner + i];
        }
    });
  });
}

void add_along(Tensor y, const Tensor& x, const Tensor& indices, const AlongShape& s) {
  const int32_t* index = indices.data<int32_t>();
  dispatch_floating(x.dtype(), "add_along", [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(s.columns(), grain_for(s.count + s.size), [=](int64_t begin, int64_t end) {
      for (int64_t column = begin; column < end; ++column) {
        const int64_t outer = column / s.inner, i = column % s.inner;
        T* sums = to + outer * s.size * s.inner + i;
        for (int64_t k = 0; k < s.size; ++k) sums[k * s.inner] = T(0);
        for (int64_t j = 0; j < s.count; ++j) {
          const int64_t at = (outer * s.count + j) * s.inner + i;
          T& sum = sums[index[at] * s.inner];
          sum = static_cast<T>(widen(sum) + widen(from[at]));
        }
      }
    });
  });
}

void one_hot(Tensor y, const Tensor& labels) {
  const int64_t classes = y.size(-1);
  const int32_t* label = labels.data<int32_t>();
  dispatch_floating(y.dtype(), "one_hot", [&]<class T>() {
    T* to = y.data<T>();
    std::fill_n(to, y.numel(), T(0));
    for (int64_t i = 0; i < labels.numel(); ++i) to[i * classes + label[i]] = T(1);
  });
}

LEVEL_END
