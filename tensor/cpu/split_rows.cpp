#include "tensor/cpu/split_rows.h"

#include "tensor/cpu/tall_product.h"

LEVEL_BEGIN

#ifdef PASSBAND_MATRIX_UNIT

Tensor split::cut_panels(const RowsProduct& p, const float* b) {
  const int64_t panels = pieces_of(p.n, kSide), steps = steps_of(p.k);
  Tensor parts = Tensor::empty({panels * steps * static_cast<int64_t>(sizeof(Step))}, DType::u8);
  std::atomic<bool> whole = true;
  parallel_for(panels, grain_for(kSide * p.k), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      Step* to = static_cast<Step*>(parts.raw()) + j * steps;
      const int64_t column = j * kSide, width = std::min<int64_t>(kSide, p.n - column);
      if (!(p.transpose_b ? pack_right_rows(to, {b + column * p.k, p.k, width, p.k})
                          : pack_right_columns(to, {b + column, p.n, width, p.k})))
        whole = false;
    }
  });
  return whole ? parts : Tensor{};
}

#endif

bool split_product_pays(int64_t m, int64_t n, int64_t k) {
  return matrix_unit::available() && m >= 256 && n >= 96 && k >= 64;
}

bool split_product(const TallProduct& p, float* c, const float* a, const float* b) {
  const bool past_caches = may_stream(c, p.m, p.n);
  const auto finish = [&](int64_t row, int64_t column, const float* sums, int64_t count) {
    const int64_t at = row * p.n + column;
    for_vectors<float>(0, count, [&](int64_t i, int lanes) {
      Vec<float> value = load(sums + i);
      if (p.bias) value += load(p.bias + column + i, lanes);
      if (p.residual) value += load(p.residual + at + i, lanes);
      if (past_caches) stream(c + at + i, value);
      else store(c + at + i, value, lanes);
    });
  };
  return split::multiply_rows({p.m, p.n, p.k, p.transpose_b, p.residual}, a, b, finish);
}

LEVEL_END
