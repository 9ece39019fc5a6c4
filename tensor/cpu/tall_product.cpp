// All of `b` lies packed in the second level of cache; each thread takes tile after tile of rows of
// `a`.
#include "tensor/cpu/tall_product.h"

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_tile.h"

LEVEL_BEGIN
namespace {

constexpr int L = kTileLanes;
constexpr int64_t kRowStride = TallProduct::kMostDepth + 16;  // no two rows fall on one cache set
// A result that bypasses the caches: a smaller one is worth more there than what it displaces.
constexpr int64_t kLargeBytes = 40 << 20;

// panel (depth, kTileColumns) = rows of b, `stride` apart.
void pack_panel(float* panel, const float* b, int64_t stride, int64_t depth) {
  for (int64_t k = 0; k < depth; ++k)
    for (int j = 0; j < kTileColumns; j += L)
      store(panel + k * kTileColumns + j, load(b + k * stride + j));
}

// The same from b stored (n, k).
void pack_panel_transposed(float* panel, const float* b, int64_t depth) {
  for (int64_t k = 0; k < depth; k += L)
    for (int j = 0; j < kTileColumns; j += L) {
      const int count = static_cast<int>(std::min<int64_t>(L, depth - k));
      Vec<float> square[L];
      for (int l = 0; l < L; ++l) square[l] = load(b + (j + l) * depth + k, count);
      transpose_square<float>(square);
      for (int l = 0; l < count; ++l) store(panel + (k + l) * kTileColumns + j, square[l]);
    }
}

// b as panels of kTileColumns columns.
Tensor packed(const TallProduct& p, const float* b) {
  Tensor panels = Tensor::empty({p.n * p.k});
  parallel_for(p.n / kTileColumns, grain_for(kTileColumns * p.k), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      float* panel = panels.data<float>() + j * kTileColumns * p.k;
      if (p.transpose_b) pack_panel_transposed(panel, b + j * kTileColumns * p.k, p.k);
      else pack_panel(panel, b + j * kTileColumns, p.n, p.k);
    }
  });
  return panels;
}

// to, rows of kRowStride = from (rows, k).
void copy_rows(float* to, const float* from, int64_t rows, int64_t k) {
  for (int64_t r = 0; r < rows; ++r)
    for_vectors<float>(0, k, [&](int64_t i, int count) {
      store(to + r * kRowStride + i, load(from + r * k + i, count), count);
    });
}

}  // namespace

int64_t tall_product_columns() { return kTileColumns; }

void tall_product(const TallProduct& p, float* c, const float* a, const float* b) {
  Tensor panels = packed(p, b);
  const int64_t count = p.n / kTileColumns, steps = count * p.k;
  const bool stream = p.m * p.n * 4 >= kLargeBytes && may_stream(c, p.m, p.n);
  parallel_for(
      pieces_of(p.m, kTileRows), grain_for(kTileRows * p.n), [&](int64_t begin, int64_t end) {
        alignas(kVectorBytes) float copy[kTileRows * kRowStride];
        for (int64_t i = begin; i < end; ++i) {
          const int64_t row = i * kTileRows, rows = std::min<int64_t>(kTileRows, p.m - row);
          const int64_t next = i + 1 < end ? row + rows : row;
          copy_rows(copy, a + row * p.k, rows, p.k);
          Ahead left(a + next * p.k, kTileRows * p.k * 4, steps);
          Ahead added = p.residual ? Ahead(p.residual + next * p.n, kTileRows * p.n * 4, steps)
                                   : Ahead(copy, 0, steps);
          for (int64_t j = 0; j < count; ++j) {
            const int64_t column = j * kTileColumns, at = row * p.n + column;
            multiply_tile<kRowStride>(rows, {.a = copy,
                                             .a_stride = 1,
                                             .b = panels.data<float>() + column * p.k,
                                             .b_stride = kTileColumns,
                                             .depth = p.k,
                                             .c = c + at,
                                             .stride = p.n,
                                             .residual = p.residual ? p.residual + at : nullptr,
                                             .bias = p.bias ? p.bias + column : nullptr,
                                             .add = false,
                                             .stream = stream,
                                             .first = left,
                                             .second = added});
            left.skip(p.k);
            added.skip(p.k);
          }
        }
        if (stream) end_streaming();
      });
}

LEVEL_END
