// Lengths cut into pieces, for kernels that hand work to a library: where a piece ends depends on
// shapes alone, never on the number of threads, and so do the results.
#pragma once
#include <algorithm>
#include <cstdint>

namespace passband::cpu {

constexpr int64_t pieces_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
// The size of equal pieces of at most `most`.
constexpr int64_t equal_piece(int64_t n, int64_t most) { return pieces_of(n, pieces_of(n, most)); }

// A length in pieces of one size; the last may be smaller.
struct CutLength {
  int64_t length, piece;

  int64_t count() const { return pieces_of(length, piece); }
  int64_t begin(int64_t i) const { return i * piece; }
  int64_t size(int64_t i) const { return std::min(piece, length - begin(i)); }
  // Twice as many pieces, or about that: a piece is a multiple of `unit`.
  void halve(int64_t unit) { piece = pieces_of(pieces_of(length, 2 * count()), unit) * unit; }
};

}  // namespace passband::cpu
