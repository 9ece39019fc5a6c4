// A product is cut into blocks of its result. A block goes through the inner dimension in pieces:
// a piece of the right factor stays, as panels of columns, in the second level of cache, tile after
// tile of rows of the left one in the first (Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008).
#include "tensor/cpu/product.h"

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/product_panels.h"

LEVEL_BEGIN
namespace {

template <class A> constexpr int64_t kColumns = kPanelColumns<A>;
// A piece of the inner dimension, where blocks pack what they need: it fits the second level of
// cache. What is packed for all may be longer: a tile of rows must fit the first.
template <class A> constexpr int64_t kDepth = 1024 / sizeof(A);
template <class A> constexpr int64_t kLongDepth = 3 * kDepth<A>;
// The sides of a block.
template <class A> constexpr int64_t kMostColumns = 1024 / sizeof(A);
constexpr int64_t kMostRows = 128 / kTileRows * kTileRows;
// Where b has many users, it is packed once for all.
constexpr int64_t kManyBlocks = 4;
constexpr int64_t kMostPackedBytes = 256 << 20;
// No two rows of a tile fall on one set of a cache.
template <class A> constexpr int64_t kRowStride = kLongDepth<A> + 64 / sizeof(A);
// Results larger than this bypass the caches.
constexpr int64_t kLargeBytes = 40 << 20;

// How a product is cut, from its shape alone.
template <class A> struct Cut {
  CutLength rows, columns;
  bool shared;       // b is packed before all blocks, not by each
  CutLength pieces;  // of the inner dimension
  CutLength parts;   // of the pieces: a sum of its own for each

  Cut(int64_t m, int64_t n, int64_t k, bool transposed_a)
      : rows{m, equal_piece(pieces_of(m, kTileRows), kMostRows / kTileRows) * kTileRows},
        columns{
            n, equal_piece(pieces_of(n, kColumns<A>), kMostColumns<A> / kColumns<A>) * kColumns<A>},
        shared(rows.count() >= kManyBlocks &&
               n * k * static_cast<int64_t>(sizeof(A)) <= kMostPackedBytes),
        pieces{k, equal_piece(k, shared && !transposed_a ? kLongDepth<A> : kDepth<A>)},
        parts{pieces.count(), pieces.count()} {
    constexpr int64_t kWanted = 16, kLeastColumns = 4 * kColumns<A>, kLeastPieces = 4;
    while (blocks() < kWanted && columns.piece > kLeastColumns) columns.halve(kColumns<A>);
    while (tasks() < kWanted && parts.piece >= 2 * kLeastPieces) parts.halve(1);
    shared =
        rows.count() >= kManyBlocks && n * k * static_cast<int64_t>(sizeof(A)) <= kMostPackedBytes;
  }
  int64_t blocks() const { return rows.count() * columns.count(); }
  int64_t tasks() const { return blocks() * parts.count(); }
  int64_t panels() const { return pieces_of(columns.length, kColumns<A>); }
  // Elements of the panels before those of a piece.
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

// All of b in panels: (pieces, panels, depth, kColumns).
template <class T> Tensor pack_all(const Product<T>& p, const Cut<Accumulate<T>>& cut) {
  using A = Accumulate<T>;
  Tensor packed = Tensor::empty({cut.panels() * kColumns<A> * p.k}, dtype_of<A>());
  const CutLength& columns = cut.columns;
  const auto pack = [&, to = packed.data<A>()](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t piece = i / columns.count(), block = i % columns.count();
      const int64_t depth = cut.pieces.size(piece);
      pack_right(to + cut.packed_before(piece) + columns.begin(block) * depth, right_of(p),
                 cut.pieces.begin(piece), columns.begin(block), depth, columns.size(block));
    }
  };
  parallel_for(columns.count() * cut.pieces.count(), grain_for(columns.piece * cut.pieces.piece),
               pack);
  return packed;
}

// One thread's work: block after block. It holds what a block needs besides.
template <class T> class Blocks {
  using A = Accumulate<T>;
  static constexpr bool kSameType = std::is_same_v<T, A>;

 public:
  // `packed`: all of b, or null; `parts` (parts, m, n): where sums go if there are several.
  Blocks(const Product<T>& p, const Cut<A>& cut, const A* packed, A* parts)
      : p_(p),
        cut_(cut),
        packed_(packed),
        parts_(parts),
        direct_(kSameType && !parts && p.n % kColumns<A> == 0),
        stream_(direct_ && cut.pieces.count() == 1 &&
                p.m * p.n * static_cast<int64_t>(sizeof(T)) >= kLargeBytes &&
                may_stream(p.c, p.m, p.n)) {}

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
  void add_piece(int64_t piece, bool first) {
    const int64_t k = cut_.pieces.begin(piece), depth = cut_.pieces.size(piece);
    const A* panels =
        packed_ ? packed_ + cut_.packed_before(piece) + column_ * depth : pack_own(k, depth);
    const Stored<T> a = left_of(p_);
    if (a.transposed) pack_left_columns(left_, a.at(row_, k), a.stride, rows_, depth);
    for (int64_t i = 0; i < rows_; i += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, rows_ - i);
      if (!a.transposed)
        pack_left_rows<kRowStride<A>>(left_, a.at(row_ + i, k), a.stride, rows, depth);
      multiply_rows_of(i, rows, panels, depth, first);
    }
  }

  const A* pack_own(int64_t k, int64_t depth) {
    pack_right(right_, right_of(p_), k, column_, depth, columns_);
    return right_;
  }

  // The tiles of one tile of rows; meanwhile the rows of the next are fetched.
  void multiply_rows_of(int64_t i, int64_t rows, const A* panels, int64_t depth, bool first) {
    const bool whole = depth == p_.k && !p_.transpose_a && row_ + i + 2 * kTileRows <= p_.m;
    Ahead next(whole ? p_.a + (row_ + i + kTileRows) * p_.k : p_.a,
               whole ? kTileRows * p_.k * static_cast<int64_t>(sizeof(T)) : 0,
               pieces_of(columns_, kColumns<A>) * depth);
    for (int64_t j = 0; j < columns_; j += kColumns<A>, next.skip(depth)) {
      TileOf<A> t{.a = p_.transpose_a ? left_ + i * depth : left_,
                  .a_stride = p_.transpose_a ? kTileRows : 1,
                  .b = panels + j * depth,
                  .b_stride = kColumns<A>,
                  .depth = depth,
                  .c = sums_ + i * cut_.columns.piece + j,
                  .stride = cut_.columns.piece,
                  .add = !first,
                  .stream = stream_,
                  .first = next,
                  .second = Ahead(p_.a, 0, 1)};
      if (direct_) aim_at_result(t, (row_ + i) * p_.n + column_ + j, column_ + j);
      if (p_.transpose_a) multiply_tile<1, A>(rows, t);
      else multiply_tile<kRowStride<A>, A>(rows, t);
    }
  }

  void aim_at_result(TileOf<A>& t, int64_t at, int64_t column) const {
    if constexpr (kSameType) {
      t.c = p_.c + at;
      t.stride = p_.n;
      if (t.add) return;
      t.residual = p_.residual ? p_.residual + at : nullptr;
      t.bias = p_.bias ? p_.bias + column : nullptr;
    }
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
  const Cut<A>& cut_;
  const A* packed_;
  A* parts_;
  bool direct_, stream_;
  int64_t row_ = 0, rows_ = 0, column_ = 0, columns_ = 0;
  // All rows of a transposed piece, or one tile of rows.
  alignas(kVectorBytes) A left_[std::max(kMostRows * kDepth<A>, kTileRows* kRowStride<A>)];
  alignas(kVectorBytes) A right_[kDepth<A> * kMostColumns<A>];
  alignas(kVectorBytes) A sums_[kMostRows * kMostColumns<A>];
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

template <class T> void multiply_one(const Product<T>& p) {
  using A = Accumulate<T>;
  const Cut<A> cut(p.m, p.n, p.k, p.transpose_a);
  const int64_t count = cut.parts.count();
  const Tensor packed = cut.shared ? pack_all(p, cut) : Tensor{};
  Tensor parts = count > 1 ? Tensor::empty({count * p.m * p.n}, dtype_of<A>()) : Tensor{};
  A* sums = count > 1 ? parts.data<A>() : nullptr;
  const int64_t work = cut.rows.piece * cut.columns.piece * pieces_of(p.k, count);
  parallel_for(cut.tasks(), grain_for(work / 64), [&](int64_t begin, int64_t end) {
    Blocks<T> blocks(p, cut, packed.data_or_null<A>(), sums);
    for (int64_t task = begin; task < end; ++task) blocks.multiply(task);
  });
  if (sums) join_parts(p, sums, count);
}

}  // namespace

template <class T> void product(const Product<T>& p) {
  // Larger matrices of a batch share out their own blocks.
  constexpr int64_t kSmallProduct = 1 << 24;
  if (p.batch == 1) return multiply_one(p);
  if (p.m * p.n * p.k <= kSmallProduct)
    return for_each_index(p.batch, [&](int64_t i) { multiply_one(p.at(i)); });
  for (int64_t i = 0; i < p.batch; ++i) multiply_one(p.at(i));
}

template void product(const Product<float>&);
template void product(const Product<bf16>&);
template void product(const Product<double>&);

LEVEL_END
