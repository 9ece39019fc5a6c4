// Layer norm on the GPU: a warp per row, the row in its registers, one pass over memory in each
// direction.
//
// Bound: memory. Per element of bf16 forward reads 2 bytes and writes 2, backward reads 4 and
// writes 2, for about 8 and 14 operations in f32; the sums for dgamma and dbeta add 8 bytes for
// each column and block, under 3 % from 20,000 rows on.
// `held` is how many times 256 columns a warp keeps: 1 for rows up to 256 (fewer registers, more
// warps to hide the latency of memory), 2 up to 512, 4 beyond. Rows of more than 1024 columns are
// read again from the cache, and their dgamma and dbeta come from a second kernel along columns,
// because their sums no longer fit the registers.
// Considered: the sum of squares instead of a second pass over the registers for the variance; it
// is wrong where the mean is far from zero, and the pass costs no memory.
#include "tensor/ops/layer_norm_kernels.h"
#include "tensor/ops/norm_columns.cuh"

namespace passband::cuda {
namespace {

constexpr int kWarps = 4;               // of a block
constexpr int kSpan = 32 * kWide;       // columns that a warp holds at a time
constexpr int64_t kSummedBlocks = 528;  // constant: the order of sums must not depend on the GPU

struct Rows {
  int64_t count;
  int columns;
  bool packed, packed_parameters;
};

// Column of the i-th eight of this lane.
__device__ __forceinline__ int column_of(int i) {
  return i * kSpan + static_cast<int>(threadIdx.x % 32) * kWide;
}

// The eights of a row that a lane keeps.
template <int held, class T> __device__ __forceinline__ void load_row(Wide (&kept)[held],
                                                                      const T* __restrict__ row,
                                                                      const Rows& rows) {
#pragma unroll
  for (int i = 0; i < held; ++i) {
    const int count = rows.columns - column_of(i);
    kept[i] = load_wide(row + column_of(i), count, rows.packed && count > 0);
  }
}

// f(column, count, values...) for the eights of this lane: those kept, then the rest from memory.
template <int held, class T, class F>
__device__ __forceinline__ void for_row(const Wide (&kept)[held], const T* __restrict__ row,
                                        const Rows& rows, const F& f) {
#pragma unroll
  for (int i = 0; i < held; ++i)
    if (column_of(i) < rows.columns) f(column_of(i), rows.columns - column_of(i), kept[i]);
  for (int i = held; column_of(i) < rows.columns; ++i) {
    const int c = column_of(i), count = rows.columns - c;
    f(c, count, load_wide(row + c, count, rows.packed));
  }
}

template <int held, class T> __global__ void __launch_bounds__(kWarps * 32)
    forward_kernel(T* __restrict__ y, float* __restrict__ means, float* __restrict__ rstds,
                   const T* __restrict__ x, const float* __restrict__ gamma,
                   const float* __restrict__ beta, float eps, Rows rows) {
  const int64_t r = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (r >= rows.count) return;  // whole warps return together
  const T* row = x + r * rows.columns;
  const float n = static_cast<float>(rows.columns);
  Wide kept[held];
  load_row(kept, row, rows);
  float sum = 0.0f, squares = 0.0f;
  for_row(kept, row, rows, [&](int, int, const Wide& v) {
#pragma unroll
    for (int k = 0; k < kWide; ++k) sum += v[k];  // zeros past the row's end
  });
  const float mean = warp_sum(sum) / n;
  for_row(kept, row, rows, [&](int, int count, const Wide& v) {
#pragma unroll
    for (int k = 0; k < kWide; ++k) squares += k < count ? (v[k] - mean) * (v[k] - mean) : 0.0f;
  });
  const float rstd = 1.0f / sqrtf(warp_sum(squares) / n + eps);
  for_row(kept, row, rows, [&](int c, int count, const Wide& v) {
    const Wide scale = load_wide(gamma + c, count, rows.packed_parameters);
    const Wide shift = load_wide(beta + c, count, rows.packed_parameters);
    Wide result;
#pragma unroll
    for (int k = 0; k < kWide; ++k) result[k] = (v[k] - mean) * rstd * scale[k] + shift[k];
    store_wide(y + r * rows.columns + c, result, count, rows.packed);
  });
  if (threadIdx.x % 32 > 0) return;
  means[r] = mean;
  rstds[r] = rstd;
}

struct Saved {
  const float *mean, *rstd, *gamma;
};

// dx of a row. With g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g xhat)) + added (unless
// null).
template <int held, class T>
__device__ __forceinline__ void gradient_row(T* __restrict__ dx, const T* __restrict__ added,
                                             const Wide (&kept_dy)[held],
                                             const Wide (&kept_x)[held], const T* __restrict__ dy,
                                             const T* __restrict__ x, float mean, float rstd,
                                             const float* __restrict__ gamma, const Rows& rows) {
  const auto each = [&](const auto& f) {  // f(column, count, g, xhat)
    const auto visit = [&](int c, Wide g, Wide v) {
      const Wide scale = load_wide(gamma + c, rows.columns - c, rows.packed_parameters);
#pragma unroll
      for (int k = 0; k < kWide; ++k) {
        g[k] *= scale[k];  // zero past the row's end
        v[k] = (v[k] - mean) * rstd;
      }
      f(c, rows.columns - c, g, v);
    };
#pragma unroll
    for (int i = 0; i < held; ++i)
      if (column_of(i) < rows.columns) visit(column_of(i), kept_dy[i], kept_x[i]);
    for (int i = held; column_of(i) < rows.columns; ++i) {
      const int c = column_of(i), count = rows.columns - c;
      visit(c, load_wide(dy + c, count, rows.packed), load_wide(x + c, count, rows.packed));
    }
  };
  float sum = 0.0f, product = 0.0f;
  each([&](int, int, const Wide& g, const Wide& xhat) {
#pragma unroll
    for (int k = 0; k < kWide; ++k) {
      sum += g[k];
      product += g[k] * xhat[k];
    }
  });
  const float n = static_cast<float>(rows.columns);
  const float offset = warp_sum(sum) / n, slope = warp_sum(product) / n;
  each([&](int c, int count, const Wide& g, const Wide& xhat) {
    Wide result = added ? load_wide(added + c, count, rows.packed) : Wide{};
#pragma unroll
    for (int k = 0; k < kWide; ++k) result[k] += rstd * (g[k] - offset - xhat[k] * slope);
    store_wide(dx + c, result, count, rows.packed);
  });
}

// dx (unless null), and in sums (2, blocks, columns) what the rows of a block add to dbeta and
// dgamma, unless that is null: then rows may be longer than what is held.
template <int held, class T> __global__ void __launch_bounds__(kWarps * 32)
    backward_kernel(T* __restrict__ dx, float* __restrict__ sums, const T* __restrict__ added,
                    const T* __restrict__ dy, const T* __restrict__ x, Saved saved, Rows rows) {
  SHARED(float, handed, [kWarps][held * kSpan]);
  const int warp = threadIdx.x / 32;
  Wide total[2][held] = {};  // of dy, of dy * xhat
  for (int64_t r = int64_t{blockIdx.x} * kWarps + warp; r < rows.count;
       r += int64_t{gridDim.x} * kWarps) {
    const int64_t at = r * rows.columns;
    Wide g[held], v[held];
    load_row(g, dy + at, rows);
    load_row(v, x + at, rows);
    const float mean = saved.mean[r], rstd = saved.rstd[r];
#pragma unroll
    for (int i = 0; i < held; ++i)
#pragma unroll
      for (int k = 0; k < kWide; ++k) {
        total[0][i][k] += g[i][k];
        total[1][i][k] += g[i][k] * ((v[i][k] - mean) * rstd);
      }
    if (dx)
      gradient_row(dx + at, added ? added + at : nullptr, g, v, dy + at, x + at, mean, rstd,
                   saved.gamma, rows);
  }
  if (!sums) return;
#pragma unroll
  for (int which = 0; which < 2; ++which) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < held; ++i)
#pragma unroll
      for (int k = 0; k < kWide; ++k) handed[warp][column_of(i) + k] = total[which][i][k];
    __syncthreads();
    for (int c = threadIdx.x; c < rows.columns; c += kWarps * 32) {
      float sum = 0.0f;
      for (int w = 0; w < kWarps; ++w) sum += handed[w][c];
      sums[(int64_t{gridDim.x} * which + blockIdx.x) * rows.columns + c] = sum;
    }
  }
}

// The same sums along columns, for rows that a warp cannot hold.
template <class T> __global__ void __launch_bounds__(kColumnThreads)
    products_kernel(float* __restrict__ sums, const T* __restrict__ dy, const T* __restrict__ x,
                    Saved saved, ColumnPass pass) {
  const ColumnThread t(pass);
  Wide total[2] = {};
  for (int64_t row = t.first; row < t.end; row += blockDim.y) {
    const Wide g = load_wide(dy + t.at(pass, row), t.count, pass.packed);
    const Wide v = load_wide(x + t.at(pass, row), t.count, pass.packed);
    const float mean = saved.mean[row], rstd = saved.rstd[row];
#pragma unroll
    for (int k = 0; k < kWide; ++k) {
      total[0][k] += g[k];
      total[1][k] += g[k] * ((v[k] - mean) * rstd);
    }
  }
  join_rows(total, [](Wide(&a)[2], const Wide(&b)[2]) { add_wide(a, b); });
  if (threadIdx.y > 0 || t.count <= 0) return;
  float* own = sums + int64_t{blockIdx.x} * pass.columns + t.column;
  store_wide(own, total[0], t.count, false);
  store_wide(own + int64_t{pass.chunks} * pass.columns, total[1], t.count, false);
}

__global__ void __launch_bounds__(kJoinThreads)
    join_kernel(float* dgamma, float* dbeta, const float* __restrict__ sums, int chunks,
                int columns) {
  const int column = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  double products[2];
  join_chunk_products(products, sums, sums + int64_t{chunks} * columns, columns, chunks, column,
                      columns);
  if (threadIdx.y > 0 || column >= columns) return;
  dbeta[column] = static_cast<float>(products[0]);
  dgamma[column] = static_cast<float>(products[1]);
}

// Calls f with the number of eights that a lane keeps, as a compile-time constant.
template <class F> void dispatch_held(int64_t columns, const F& f) {
  if (columns <= kSpan) return f(std::integral_constant<int, 1>{});
  if (columns <= 2 * kSpan) return f(std::integral_constant<int, 2>{});
  f(std::integral_constant<int, 4>{});
}

unsigned row_blocks(int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }

}  // namespace

void layer_norm_forward(Tensor y, Tensor mean, Tensor rstd, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, double eps) {
  dispatch_f32_bf16(x.dtype(), "layer_norm", [&]<class T>() {
    const int64_t C = x.size(-1);
    const float *scale = gamma.data<float>(), *shift = beta.data<float>();
    const Rows rows{x.shape().outer(-1), static_cast<int>(C),
                    rows_are_packed(C, x.data<T>(), y.data<T>()), rows_are_packed(C, scale, shift)};
    if (rows.count == 0) return;
    dispatch_held(C, [&](auto held) {
      launch({.grid = row_blocks(rows.count), .block = kWarps * 32, .stream = compute_stream()},
             forward_kernel<held.value, T>, y.data<T>(), mean.data<float>(), rstd.data<float>(),
             x.data<T>(), scale, shift, static_cast<float>(eps), rows);
    });
  });
}

void layer_norm_backward(NormGradients& results, const Tensor& dy, const Tensor& added,
                         const NormSaved& tensors, bool in_parts) {
  const Tensor &x = tensors.x, &mean = tensors.mean, &rstd = tensors.rstd, &gamma = tensors.gamma;
  Tensor &dx = results.dx, &dgamma = results.dgamma, &dbeta = results.dbeta;
  dispatch_f32_bf16(x.dtype(), "layer_norm", [&]<class T>() {
    const int64_t C = x.size(-1);
    T* const dx_data = dx.defined() ? dx.data<T>() : nullptr;
    const T* const more = added.defined() ? added.data<T>() : nullptr;
    const Saved saved{mean.data<float>(), rstd.data<float>(), gamma.data<float>()};
    const Rows rows{x.shape().outer(-1), static_cast<int>(C),
                    rows_are_packed(C, x.data<T>(), dy.data<T>(), dx_data, more),
                    rows_are_packed(C, saved.gamma)};
    const ColumnPass pass(1, rows.count, C, rows.packed);
    const bool fits = C <= 4 * kSpan;
    const unsigned blocks =
        fits ? static_cast<unsigned>(std::min<int64_t>(row_blocks(rows.count), kSummedBlocks))
             : row_blocks(rows.count);
    const int chunks = fits ? static_cast<int>(blocks) : pass.chunks;
    Tensor sums = Tensor::empty({2, chunks, C}, DType::f32, x.device());
    const StreamHandle stream = compute_stream();
    dispatch_held(C, [&](auto held) {
      if (!fits && !dx_data) return;
      launch({.grid = blocks, .block = kWarps * 32, .stream = stream},
             backward_kernel<held.value, T>, dx_data, fits ? sums.data<float>() : nullptr, more,
             dy.data<T>(), x.data<T>(), saved, rows);
    });
    if (!fits)
      launch({.grid = pass.grid(), .block = pass.block(), .stream = stream}, products_kernel<T>,
             sums.data<float>(), dy.data<T>(), x.data<T>(), saved, pass);
    if (in_parts) {
      dbeta = sums.view(0, {chunks, C});
      dgamma = sums.view(chunks * C, {chunks, C});
      return;
    }
    launch({.grid = join_blocks(rows.columns), .block = join_block(), .stream = stream},
           join_kernel, dgamma.data<float>(), dbeta.data<float>(), sums.data<float>(), chunks,
           rows.columns);
  });
}

}  // namespace passband::cuda
