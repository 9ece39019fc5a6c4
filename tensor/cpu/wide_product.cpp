// The blocking follows Goto and van de Geijn (2008): panels of `b`, packed, stay in the second
// level of cache, while tiles of kRows x kColumns sums stay in registers.
#include "tensor/cpu/wide_product.h"

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/vector.h"

namespace passband::cpu {
namespace {

constexpr int L = kLanes<float>;
constexpr int kColumns = 2 * L;  // of a panel
constexpr int kRows = L == 16 ? 14 : L == 8 ? 6
                                            : 4;  // 28 of 32, or 12 of 16, registers are sums
constexpr int64_t kPanelFloats = 192 * 1024;  // of b at a time: 768 KiB
constexpr int64_t kDepth = 512;  // of k at a time
constexpr int64_t kStreamedBytes = 64 << 20;  // larger results bypass the caches

constexpr int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Rows of the left factor.
struct FactorRows {
  const float* data;
  int64_t stride;
  float at(int row, int64_t k) const { return data[row * stride + k]; }
  FactorRows from(int64_t row) const { return {data + row * stride, stride}; }
};

// What a tile starts from and where it goes.
struct Target {
  float* c;
  int64_t stride;
  int columns;  // up to kColumns that exist
  bool add = false;  // to what c holds
  bool stream = false;  // c is aligned to vectors and `columns` whole
  const float* bias = nullptr;
  const float* residual = nullptr;

  Target from(int64_t row) const {
    Target t = *this;
    t.c += row * stride;
    if (residual) t.residual += row * stride;
    return t;
  }
};

template <int Rows> using Sums = Vec<float>[Rows][2];

template <int Rows> [[gnu::always_inline]] inline void start(Sums<Rows>& sums, const Target& t) {
  const bool plain = !t.add && !t.bias && !t.residual;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) {
      sums[r][v] = Vec<float>{};
      if (plain) continue;
      const int count = std::clamp(t.columns - v * L, 0, L);
      const int64_t at = r * t.stride + v * L;
      if (count == 0) continue;
      if (t.add) sums[r][v] = load(t.c + at, count);
      if (t.bias) sums[r][v] += load(t.bias + v * L, count);
      if (t.residual) sums[r][v] += load(t.residual + at, count);
    }
}

template <int Rows> [[gnu::always_inline]] inline void finish(const Sums<Rows>& sums, const Target& t) {
  const auto for_sums = [&](auto&& put) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < 2; ++v) put(t.c + r * t.stride + v * L, sums[r][v], v);
  };
#if defined(__AVX512F__)
  if (t.stream)
    return for_sums([](float* c, Vec<float> sum, int) { _mm512_stream_ps(c, sum); });
#endif
  if (t.columns == kColumns)
    return for_sums([](float* c, Vec<float> sum, int) { store(c, sum); });
  for_sums([&](float* c, Vec<float> sum, int v) {
    const int count = std::clamp(t.columns - v * L, 0, L);
    if (count > 0) store(c, sum, count);
  });
}

// Rows x kColumns sums over `depth`; `ahead` is what the next tile will read, if known. On its own,
// as GCC 12 keeps the sums in registers only where nothing else competes for them.
template <int Rows>
[[gnu::noinline]] void multiply_tile(FactorRows a, const float* panel, int64_t depth, const Target& target,
                                     const float* ahead) {
  Sums<Rows> sums;
  start<Rows>(sums, target);
  for (int64_t k = 0; k < depth; ++k) {
    const Vec<float> b0 = load(panel + k * kColumns), b1 = load(panel + k * kColumns + L);
    __builtin_prefetch(ahead + k * L);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec<float> s = splat(a.at(r, k));
      sums[r][0] += s * b0;
      sums[r][1] += s * b1;
    }
  }
  finish<Rows>(sums, target);
}

// The same for any number of rows up to kRows.
template <int Rows = kRows>
void multiply_rows(FactorRows a, int64_t rows, const float* panel, int64_t depth, const Target& target,
                   const float* ahead) {
  int64_t done = 0;
  for (; done + Rows <= rows; done += Rows)
    multiply_tile<Rows>(a.from(done), panel, depth, target.from(done), ahead);
  if constexpr (Rows > 1)
    if (done < rows)
      multiply_rows<Rows / 2>(a.from(done), rows - done, panel, depth, target.from(done), ahead);
}

// --- packing ---

// panel (depth, kColumns) = b[0 : depth, 0 : columns] of rows of `stride`, zeros behind the columns.
void pack_panel(float* panel, const float* b, int64_t stride, int64_t depth, int columns) {
  for (int64_t k = 0; k < depth; ++k)
    for (int j = 0; j < 2; ++j) {
      const int count = std::clamp(columns - j * L, 0, L);
      store(panel + k * kColumns + j * L, count ? load(b + k * stride + j * L, count) : Vec<float>{});
    }
}

// The same from b stored (n, k).
void pack_panel_transposed(float* panel, const float* b, int64_t stride, int64_t depth,
                           int columns) {
  for (int64_t k = 0; k < depth; k += L)
    for (int j = 0; j < kColumns; j += L) {
      const int count = static_cast<int>(std::min<int64_t>(L, depth - k));
      Vec<float> square[L];
      for (int l = 0; l < L; ++l)
        square[l] = j + l < columns ? load(b + (j + l) * stride + k, count) : Vec<float>{};
      transpose_square<float>(square);
      for (int l = 0; l < count; ++l) store(panel + (k + l) * kColumns + j, square[l]);
    }
}

// --- multiplying ---

// b[k0 : k0 + depth, n0 : n0 + width] in panels.
struct Panels {
  int64_t k0, depth, n0, width;
  float* data;

  int64_t count() const { return pieces(width, kColumns); }
  float* at(int64_t j) const { return data + j * kColumns * depth; }
  int columns(int64_t j) const {
    return static_cast<int>(std::min<int64_t>(kColumns, width - j * kColumns));
  }
};

void pack(const Panels& panels, const WideProduct& p, const float* b) {
  parallel_for(panels.count(), grain_for(kColumns * panels.depth), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t column = panels.n0 + j * kColumns;
      if (p.transpose_b)
        pack_panel_transposed(panels.at(j), b + column * p.k + panels.k0, p.k, panels.depth,
                              panels.columns(j));
      else
        pack_panel(panels.at(j), b + panels.k0 * p.n + column, p.n, panels.depth,
                   panels.columns(j));
    }
  });
}

void multiply_panels(const Panels& panels, const WideProduct& p, float* c, const float* a) {
  const int64_t tiles = pieces(p.m, kRows);
  const bool first = panels.k0 == 0, whole = panels.depth == p.k;
  const bool stream = whole && p.n % L == 0 && panels.width % kColumns == 0 &&
                      reinterpret_cast<uintptr_t>(c) % kVectorBytes == 0 &&
                      p.m * p.n * 4 >= kStreamedBytes;
  parallel_for(tiles, grain_for(kRows * panels.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i * kRows, rows = std::min<int64_t>(kRows, p.m - row);
      const FactorRows left{a + row * p.k + panels.k0, p.k};
      const float* next = whole && i + 1 < end ? left.from(kRows).data : left.data;
      for (int64_t j = 0; j < panels.count(); ++j) {
        const int64_t column = panels.n0 + j * kColumns;
        const Target target{.c = c + row * p.n + column,
                            .stride = p.n,
                            .columns = panels.columns(j),
                            .add = !first,
                            .stream = stream,
                            .bias = first && p.bias ? p.bias + column : nullptr,
                            .residual = first && p.residual ? p.residual + row * p.n + column : nullptr};
        multiply_rows(left, rows, panels.at(j), panels.depth, target, j == 0 ? next : left.data);
      }
    }
#if defined(__AVX512F__)
    if (stream) _mm_sfence();
#endif
  });
}

// Equal pieces of at most `most`.
int64_t piece_of(int64_t n, int64_t most) { return pieces(n, pieces(n, most)); }

}  // namespace

void wide_product(const WideProduct& p, float* c, const float* a, const float* b) {
  const int64_t depth = piece_of(p.k, kDepth);
  const int64_t width = std::max<int64_t>(1, kPanelFloats / depth / kColumns) * kColumns;
  const Tensor memory = Tensor::empty({depth * std::min(width, pieces(p.n, kColumns) * kColumns)});
  for (int64_t n0 = 0; n0 < p.n; n0 += width)
    for (int64_t k0 = 0; k0 < p.k; k0 += depth) {
      const Panels panels{k0, std::min(depth, p.k - k0), n0, std::min(width, p.n - n0),
                          memory.data<float>()};
      pack(panels, p, b);
      multiply_panels(panels, p, c, a);
    }
}

}  // namespace passband::cpu
