// The tasks of a product that sums over many rows: it is cut into blocks of the result, small ones
// into sums over parts of the rows as well.
#pragma once
#include "tensor/cpu/loops.h"
#include "tensor/cpu/vector.h"

PASSBAND_LEVEL_BEGIN

// Which sums a task makes. A function of the shape alone, so every bit is the same on any number of
// threads.
struct SumBlocks {
  int64_t m, n, k;
  int64_t rows, columns;        // of a block
  int64_t parts = 1, part = 0;  // of k, and the rows of one
  int64_t chunk = 0;            // rows of k at a time

  int64_t across() const { return (n + columns - 1) / columns; }
  int64_t size() const { return rows * columns; }
  int64_t count() const { return (m + rows - 1) / rows * across() * parts; }
};

// c (m, n) = the sums of the parts, which lie block by block: (blocks, parts, rows, columns).
template <class T> void join_parts(const SumBlocks& s, T* c, const float* sums) {
  parallel_for(s.m, grain_for(s.n * s.parts), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j0 = 0; j0 < s.n; j0 += s.columns) {
        const int64_t block = i / s.rows * s.across() + j0 / s.columns;
        const float* from = sums + block * s.parts * s.size() + i % s.rows * s.columns;
        for_vectors<float>(0, std::min(s.columns, s.n - j0), [&](int64_t j, int count) {
          Vec<float> total = load(from + j, count);
          for (int64_t p = 1; p < s.parts; ++p) total += load(from + p * s.size() + j, count);
          store(c + i * s.n + j0 + j, total, count);
        });
      }
  });
}

PASSBAND_LEVEL_END
