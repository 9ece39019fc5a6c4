// A product is cut into blocks of its result. A block goes through the inner dimension in pieces:
// a piece of the right factor stays, as panels of columns, in the second level of cache, tile after
// tile of rows of the left one in the first (Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008).
#include "tensor/cpu/product.h"

#include "tensor/core/tensor.h"
#include "tensor/cpu/caches.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_panels.h"

LEVEL_BEGIN
namespace {

// T: of what the matrices consist; F: of what they are multiplied, f32, f64 or pairs of bf16; A: of
// what sums are. Depths count F's.
template <class A> constexpr int64_t kColumns = kPanelColumns<A>;
// A piece of the inner dimension, where blocks pack what they need: it fits the second level of
// cache. What is packed for all may be longer: a tile of rows must fit the first.
template <class A> constexpr int64_t kDepth = 1024 / sizeof(A);
template <class A> constexpr int64_t kLongDepth = 3 * kDepth<A>;
// The sides of a block where results are few; else its columns are as many as let a piece of them
// take half of the second level of cache.
template <class A> constexpr int64_t kMostColumns = 1024 / sizeof(A);
template <class A> int64_t most_columns() {
  constexpr int64_t kLineBytes = kDepth<A> * static_cast<int64_t>(sizeof(A));
  return std::max(kColumns<A>, second_level_cache() / 2 / kLineBytes);
}
constexpr int64_t kMostRows = 128 / kTileRows * kTileRows;
// Where b has many users, it is packed once for all.
constexpr int64_t kManyBlocks = 4;
constexpr int64_t kMostPackedBytes = 256 << 20;
// No two rows of a tile fall on one set of a cache.
template <class A> constexpr int64_t kRowStride = kLongDepth<A> + 64 / sizeof(A);
// Results larger than this bypass the caches.
constexpr int64_t kLargeBytes = 40 << 20;

// How a product is cut, from its shape alone.
template <class F, class A> struct Cut {
  CutLength rows, columns;
  bool shared;       // b is packed before all blocks, not by each
  CutLength pieces;  // of the inner dimension
  CutLength parts;   // of the pieces: a sum of its own for each

  Cut(int64_t m, int64_t n, int64_t depth, bool transposed_a)
      : rows{m, equal_piece(pieces_of(m, kTileRows), kMostRows / kTileRows) * kTileRows},
        columns{
            n, equal_piece(pieces_of(n, kColumns<A>), kMostColumns<A> / kColumns<A>) * kColumns<A>},
        shared(rows.count() >= kManyBlocks &&
               n * depth * static_cast<int64_t>(sizeof(F)) <= kMostPackedBytes),
        pieces{depth, equal_piece(depth, shared && !transposed_a ? kLongDepth<A> : kDepth<A>)},
        parts{pieces.count(), pieces.count()} {
    constexpr int64_t kWanted = 16, kLeastColumns = 4 * kColumns<A>, kLeastPieces = 4;
    while (blocks() < kWanted && columns.piece > kLeastColumns) columns.halve(kColumns<A>);
    while (tasks() < kWanted && parts.piece >= 2 * kLeastPieces) parts.halve(1);
    shared = rows.count() >= kManyBlocks &&
             n * depth * static_cast<int64_t>(sizeof(F)) <= kMostPackedBytes;
    fit_cache(kWanted);
  }
  // Where no sum is cut, columns have no part in the order of sums.
  void fit_cache(int64_t wanted) {
    if (parts.count() > 1) return;
    const int64_t fitting = equal_piece(panels(), most_columns<A>() / kColumns<A>);
    const CutLength cut{columns.length, fitting * kColumns<A>};
    if (rows.count() * cut.count() >= wanted) columns = cut;
  }
  int64_t blocks() const { return rows.count() * columns.count(); }
  int64_t tasks() const { return blocks() * parts.count(); }
  int64_t panels() const { return pieces_of(columns.length, kColumns<A>); }
  // F's of the panels before those of a piece.
  int64_t packed_before(int64_t piece) const {
    return pieces.begin(piece) * panels() * kColumns<A>;
  }
};

template <class T> Stored<T> left_of(const Product<T>& p) {
  return {p.a, p.transpose_a ? p.m : p.k, p.transpose_a};
}
template <class T> Stored<T> right_of(const Product<T>& p) {
  return {p.b, p.transpose_b ? p.k : p.n, p.transpose_b};
}

// A piece of the inner dimension, in the numbers of the matrices.
template <class F> struct Depth {
  int64_t first, count;

  Depth(const CutLength& pieces, int64_t piece, int64_t k)
      : first(pieces.begin(piece) * kPerStep<F>),
        count(std::min(k - first, pieces.size(piece) * kPerStep<F>)) {}
};

// All of b in panels: (pieces, panels, depth, kColumns).
template <class F, class T> Tensor pack_all(const Product<T>& p, const Cut<F, Accumulate<T>>& cut) {
  using A = Accumulate<T>;
  static_assert(sizeof(F) == sizeof(A));
  Tensor packed = Tensor::empty({cut.panels() * kColumns<A> * cut.pieces.length}, dtype_of<A>());
  const CutLength& columns = cut.columns;
  const auto pack = [&, to = static_cast<F*>(packed.raw())](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t piece = i / columns.count(), block = i % columns.count();
      const Depth<F> depth(cut.pieces, piece, p.k);
      pack_right(to + cut.packed_before(piece) + columns.begin(block) * cut.pieces.size(piece),
                 right_of(p), depth.first, columns.begin(block), depth.count, columns.size(block));
    }
  };
  parallel_for(columns.count() * cut.pieces.count(), grain_for(columns.piece * cut.pieces.piece),
               pack);
  return packed;
}

// One thread's work: block after block. It holds what a block needs besides.
template <class F, class T> class Blocks {
  using A = Accumulate<T>;

 public:
  // `packed`: all of b, or null; `parts` (parts, m, n): where sums go if there are several.
  Blocks(const Product<T>& p, const Cut<F, A>& cut, const F* packed, A* parts)
      : p_(p),
        cut_(cut),
        packed_(packed),
        parts_(parts),
        direct_(kDirect && !parts && p.n % kColumns<A> == 0 &&
                (std::is_same_v<T, A> || cut.pieces.count() == 1)),
        stream_(direct_ && cut.pieces.count() == 1 &&
                p.m * p.n * static_cast<int64_t>(sizeof(T)) >= kLargeBytes &&
                may_stream(p.c, p.m, p.n)) {
    const int64_t columns = cut.columns.piece;
    if (columns <= kMostColumns<A>) return;
    wide_ = Tensor::empty({(kDepth<A> + kMostRows) * columns}, dtype_of<A>());
    right_ = static_cast<F*>(wide_.raw());
    sums_ = wide_.data<A>() + kDepth<A> * columns;
  }

  void multiply(int64_t task) {
    const int64_t part = task % cut_.parts.count(), block = task / cut_.parts.count();
    const int64_t across = block % cut_.columns.count(), down = block / cut_.columns.count();
    row_ = cut_.rows.begin(down), rows_ = cut_.rows.size(down);
    column_ = cut_.columns.begin(across), columns_ = cut_.columns.size(across);
    const int64_t first = cut_.parts.begin(part);
    for (int64_t i = 0; i < cut_.parts.size(part); ++i) add_piece(first + i, i == 0);
    if (parts_) copy_sums(part);
    else if (!direct_) finish();
    if (stream_) end_streaming();
  }

 private:
  // The tiles can write what the matrices consist of.
  static constexpr bool kDirect = std::is_same_v<T, A> || kPerStep<F> == 2;

  void add_piece(int64_t piece, bool first) {
    const Depth<F> depth(cut_.pieces, piece, p_.k);
    const int64_t steps = cut_.pieces.size(piece);
    const F* panels =
        packed_ ? packed_ + cut_.packed_before(piece) + column_ * steps : pack_own(depth);
    const Stored<T> a = left_of(p_);
    if (a.transposed)
      pack_left_columns(left_, a.at(row_, depth.first), a.stride, rows_, depth.count);
    for (int64_t i = 0; i < rows_; i += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, rows_ - i);
      if (!a.transposed)
        pack_left_rows<kRowStride<A>>(left_, a.at(row_ + i, depth.first), a.stride, rows,
                                      depth.count);
      multiply_rows_of(i, rows, panels, steps, first);
    }
  }

  const F* pack_own(const Depth<F>& depth) {
    pack_right(right_, right_of(p_), depth.first, column_, depth.count, columns_);
    return right_;
  }

  // The tiles of one tile of rows; meanwhile the rows of the next are fetched.
  void multiply_rows_of(int64_t i, int64_t rows, const F* panels, int64_t steps, bool first) {
    const bool whole =
        cut_.pieces.count() == 1 && !p_.transpose_a && row_ + i + 2 * kTileRows <= p_.m;
    const int64_t share = pieces_of(kTileRows * p_.k, pieces_of(columns_, kColumns<A>));
    const T* const next = p_.a + (row_ + i + kTileRows) * p_.k;
    for (int64_t j = 0; j < columns_; j += kColumns<A>) {
      const auto multiply_to = [&]<class C>(const TileOf<F, C>& result) {
        TileOf<F, C> t = result;
        t.a = p_.transpose_a ? left_ + i * steps : left_;
        t.a_stride = p_.transpose_a ? kTileRows : 1;
        t.b = panels + j * steps;
        t.b_stride = kColumns<A>;
        t.depth = steps;
        t.add = !first;
        if (whole) t.first = rows_ahead(next + j / kColumns<A> * share, share, 1, steps);
        if (first && direct_ && p_.residual) t.second = residual_after(i, j, steps);
        if (p_.transpose_a) multiply_tile<1>(rows, t);
        else multiply_tile<kRowStride<A>>(rows, t);
      };
      if constexpr (kDirect)
        if (direct_) {
          multiply_to(result_at((row_ + i) * p_.n + column_ + j, column_ + j, first));
          continue;
        }
      multiply_to(
          TileOf<F, A>{.c = sums_ + i * cut_.columns.piece + j, .stride = cut_.columns.piece});
    }
  }

  static Ahead rows_ahead(const T* from, int64_t width, int64_t rows, int64_t steps,
                          int64_t stride = 0) {
    constexpr auto kSize = static_cast<int64_t>(sizeof(T));
    return {from, width * kSize, rows, stride * kSize, steps};
  }

  // What the tile after that of row i and column j adds.
  Ahead residual_after(int64_t i, int64_t j, int64_t steps) const {
    j += kColumns<A>;
    if (j >= columns_) j = 0, i += kTileRows;
    if (i >= rows_) return {};
    return rows_ahead(p_.residual + (row_ + i) * p_.n + column_ + j, kColumns<A>, kTileRows, steps,
                      p_.n);
  }

  // What goes to the result itself, from element `at` in column `column` on.
  TileOf<F, T> result_at(int64_t at, int64_t column, bool first) const {
    return {.c = p_.c + at,
            .stride = p_.n,
            .residual = first && p_.residual ? p_.residual + at : nullptr,
            .bias = first && p_.bias ? p_.bias + column : nullptr,
            .stream = stream_};
  }

  void copy_sums(int64_t part) const {
    for (int64_t i = 0; i < rows_; ++i)
      std::copy_n(sums_ + i * cut_.columns.piece, columns_,
                  parts_ + (part * p_.m + row_ + i) * p_.n + column_);
  }

  // c = the sums + bias + residual.
  void finish() const {
    for (int64_t i = 0; i < rows_; ++i) {
      const A* sums = sums_ + i * cut_.columns.piece;
      const int64_t at = (row_ + i) * p_.n + column_;
      for_vectors<A>(0, columns_, [&](int64_t j, int count) {
        Vec<A> sum = load(sums + j, count);
        if (p_.residual) sum += load(p_.residual + at + j, count);
        if (p_.bias) sum += load(p_.bias + column_ + j, count);
        store(p_.c + at + j, sum, count);
      });
    }
  }

  const Product<T>& p_;
  const Cut<F, A>& cut_;
  const F* packed_;
  A* parts_;
  bool direct_, stream_;
  int64_t row_ = 0, rows_ = 0, column_ = 0, columns_ = 0;
  // All rows of a transposed piece, or one tile of rows.
  alignas(kVectorBytes) F left_[std::max(kMostRows * kDepth<A>, kTileRows* kRowStride<A>)];
  alignas(kVectorBytes) F few_columns_[kDepth<A> * kMostColumns<A>];
  alignas(kVectorBytes) A few_sums_[kMostRows * kMostColumns<A>];
  Tensor wide_;  // for more columns than these have room for
  F* right_ = few_columns_;
  A* sums_ = few_sums_;
};

// c = the parts, in order, + bias + residual.
template <class T> void join_parts(const Product<T>& p, const Accumulate<T>* parts, int64_t count) {
  using A = Accumulate<T>;
  parallel_for(p.m, grain_for(p.n * count), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for_vectors<A>(0, p.n, [&](int64_t j, int lanes) {
        const int64_t at = i * p.n + j;
        Vec<A> sum = load(parts + at, lanes);
        for (int64_t part = 1; part < count; ++part)
          sum += load(parts + part * p.m * p.n + at, lanes);
        if (p.residual) sum += load(p.residual + at, lanes);
        if (p.bias) sum += load(p.bias + j, lanes);
        store(p.c + at, sum, lanes);
      });
  });
}

template <class F, class T> void multiply_one(const Product<T>& p) {
  using A = Accumulate<T>;
  const Cut<F, A> cut(p.m, p.n, steps_of<F>(p.k), p.transpose_a);
  const int64_t count = cut.parts.count();
  const Tensor packed = cut.shared ? pack_all<F>(p, cut) : Tensor{};
  Tensor parts = count > 1 ? Tensor::empty({count * p.m * p.n}, dtype_of<A>()) : Tensor{};
  A* sums = count > 1 ? parts.data<A>() : nullptr;
  const int64_t work = cut.rows.piece * cut.columns.piece * pieces_of(p.k, count);
  parallel_for(cut.tasks(), grain_for(work / 64), [&](int64_t begin, int64_t end) {
    Blocks<F, T> blocks(p, cut, static_cast<const F*>(packed.raw()), sums);
    for (int64_t task = begin; task < end; ++task) blocks.multiply(task);
  });
  if (sums) join_parts(p, sums, count);
}

template <class F, class T> void multiply_all(const Product<T>& p) {
  // Larger matrices of a batch share out their own blocks.
  constexpr int64_t kSmallProduct = 1 << 24;
  if (p.batch == 1) return multiply_one<F>(p);
  if (p.m * p.n * p.k <= kSmallProduct)
    return for_each_index(p.batch, [&](int64_t i) { multiply_one<F>(p.at(i)); });
  for (int64_t i = 0; i < p.batch; ++i) multiply_one<F>(p.at(i));
}

}  // namespace

template <class T> void product(const Product<T>& p) {
  if constexpr (kBf16Pairs && std::is_same_v<T, bf16>)
    if (has_bf16_pairs()) return multiply_all<Pair>(p);
  multiply_all<Accumulate<T>>(p);
}

template void product(const Product<float>&);
template void product(const Product<bf16>&);
template void product(const Product<double>&);

LEVEL_END
