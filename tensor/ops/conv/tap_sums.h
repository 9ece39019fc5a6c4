// Sums over the taps of windows, as an implicit product: blocks of pixels times panels of weights.
// Forward convolutions are one of these, input gradients one for each residue of the stride.
#pragma once
#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cpu/caches.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/conv/shape.h"
#include "tensor/ops/conv/sum_tile.h"

PASSBAND_LEVEL_BEGIN

// result[image, i, j, :] = bias + sum over cells of source[image, i', j', :] panel[cell], for the
// channels of one group.
template <class T> struct TapProblem {
  using A = Accumulate<T>;

  int64_t images;
  const AxisTaps &rows, &columns;
  const T* source;  // (images, rows.sources, columns.sources, source_channels), at the group
  int64_t source_channels, depth;
  A* result;  // (images, result_rows, result_columns, result_channels), at the group
  int64_t result_rows, result_columns, result_channels, width;
  const Factor<T>* panels;  // (panels, cells, steps of the depth, kPanel)
  const A* bias;            // (panels, kPanel), null: none

  int64_t cells() const { return static_cast<int64_t>(rows.cells.size() * columns.cells.size()); }
  int64_t map() const { return rows.outputs * columns.outputs; }
  int64_t pixels() const { return images * map(); }
};

// Which cells a problem has: where channels are few, all cells of a row of the kernel are one, as
// their channels are neighbours in memory.
template <class T> struct TapCells {
  static constexpr int64_t kShallow = 16;  // channels

  const AxisTaps &rows, &columns;
  bool joined;
  int64_t across, count, depth;  // cells of a row, all, channels of one

  explicit TapCells(const TapProblem<T>& p)
      : rows(p.rows),
        columns(p.columns),
        joined(p.depth < kShallow && p.source_channels == p.depth && p.columns.dense() &&
               p.cells() > 0 && kPerStep<Factor<T>> == 1),
        across(joined ? 1 : static_cast<int64_t>(p.columns.cells.size())),
        count(static_cast<int64_t>(p.rows.cells.size()) * across),
        depth(joined ? p.depth * static_cast<int64_t>(p.columns.cells.size()) : p.depth) {}
};

// Where the channels of a tile's pixels begin, cell by cell.
template <class T> class TapPointers {
 public:
  TapPointers(const TapProblem<T>& problem, const TapCells<T>& cells, bool by_image)
      : p_(problem), cells_(cells), by_image_(by_image), zeros_(static_cast<size_t>(cells.depth)) {}

  // `pixel` is a multiple of kTileRows.
  void begin_at(int64_t pixel) {
    const int64_t map = p_.map(), images = by_image_ ? 1 : kTileRows;
    first_ = pixel / (map * images) * images;
    const int64_t rest = pixel - first_ * map, together = std::min(images, p_.images - first_);
    image_ = first_ + rest % together;
    row_ = rest / together / p_.columns.outputs;
    column_ = rest / together % p_.columns.outputs;
  }

  // The next pixels, at most kTileRows: where their results go.
  void take(int64_t count, Accumulate<T>** results) {
    count_ = count;
    for (int64_t r = 0; r < count; ++r, advance()) {
      rows_[r] = row_ * p_.rows.step;
      columns_[r] = column_ * p_.columns.step;
      origins_[r] = ((image_ * p_.rows.sources + rows_[r]) * p_.columns.sources + columns_[r]) *
                    p_.source_channels;
      const int64_t row = p_.rows.first + row_ * p_.rows.spacing;
      const int64_t column = p_.columns.first + column_ * p_.columns.spacing;
      results[r] = p_.result + ((image_ * p_.result_rows + row) * p_.result_columns + column) *
                                   p_.result_channels;
    }
  }

  // The pointers of cell (row, column); false where no pixel meets the map. Channels beside the map
  // are zeros, those of a joined cell that the map's side cuts are copied to `copies`.
  bool point(size_t row, size_t column, const T** to, T*& copies) const {
    const int64_t down = cells_.rows.cells[row].offset, right = cells_.columns.cells[column].offset;
    const int64_t wide = cells_.joined ? static_cast<int64_t>(cells_.columns.cells.size()) - 1 : 0;
    const int64_t delta = (down * p_.columns.sources + right) * p_.source_channels;
    bool any = false;
    for (int64_t r = 0; r < count_; ++r) {
      const int64_t first = columns_[r] + right, last = first + wide;
      const bool outside =
          !is_below(rows_[r] + down, p_.rows.sources) || last < 0 || first >= p_.columns.sources;
      any |= !outside;
      if (outside) to[r] = zeros_.data();
      else if (first >= 0 && last < p_.columns.sources) to[r] = p_.source + (origins_[r] + delta);
      else to[r] = copy(origins_[r] + delta, first, copies);
    }
    return any;
  }

 private:
  static bool is_below(int64_t i, int64_t end) {
    return static_cast<uint64_t>(i) < static_cast<uint64_t>(end);
  }

  void advance() {
    const int64_t images = by_image_ ? 1 : kTileRows;
    if (++image_ < std::min(first_ + images, p_.images)) return;
    image_ = first_;
    if (++column_ < p_.columns.outputs) return;
    column_ = 0;
    if (++row_ < p_.rows.outputs) return;
    row_ = 0;
    image_ = first_ += images;
  }

  const T* copy(int64_t origin, int64_t first, T*& copies) const {
    T* const begin = copies;
    for (size_t j = 0; j < cells_.columns.cells.size(); ++j) {
      const int64_t at = static_cast<int64_t>(j);
      if (is_below(first + at, p_.columns.sources))
        std::copy_n(p_.source + (origin + at * p_.depth), p_.depth, copies);
      else std::fill_n(copies, p_.depth, T(0));
      copies += p_.depth;
    }
    return begin;
  }

  const TapProblem<T>& p_;
  const TapCells<T>& cells_;
  bool by_image_;
  std::vector<T> zeros_;
  int64_t first_ = 0;  // of the images whose pixels are taken together
  int64_t image_ = 0, row_ = 0, column_ = 0, count_ = 0;  // the next pixel; those of the tile
  int64_t rows_[kTileRows], columns_[kTileRows], origins_[kTileRows];
};

// A task is some pixels of the result by some of its channels.
template <class T> class TapSums {
 public:
  explicit TapSums(const TapProblem<T>& problem)
      : p_(problem), cells_(problem), by_image_(problem.map() > kSmallMap || problem.cells() == 1) {
    block_ = equal_piece(std::max<int64_t>(pieces_of(p_.pixels(), kTileRows), 1), kBlockTiles) *
             kTileRows;
    panels_.length = pieces_of(p_.width, kPanel<T>);
    const int64_t panel_bytes = block_ * kPanel<T> * static_cast<int64_t>(sizeof(Accumulate<T>));
    panels_.piece = equal_piece(
        panels_.length,
        std::clamp<int64_t>(second_level_cache() * 2 / 3 / panel_bytes, 1, kMostPanels));
    cut_depth();
  }
  int64_t tasks() const { return pieces_of(p_.pixels(), block_) * panels_.count(); }

  void operator()(int64_t task) const {
    const int64_t first = task / panels_.count() * block_, part = task % panels_.count();
    const int64_t begin = panels_.begin(part), end = begin + panels_.size(part);
    const Block block(*this, first, std::min(block_, p_.pixels() - first));
    for (const Depth& depth : depths_)
      for (int64_t j = begin; j < end; ++j) block.multiply(depth, j * kPanel<T>);
  }

 private:
  static constexpr int64_t kBlockTiles = 24;  // of pixels, in a task
  static constexpr int64_t kMostPanels =
      32;  // in a task, where two thirds of the second cache hold results
  static constexpr int64_t kDepthBytes = 16 << 10;  // of a panel, in the first cache
  // Pixels. On a smaller map the pixels of a tile have one place in many images, so that cells
  // beside the map cost nothing.
  static constexpr int64_t kSmallMap = 16;

  // Cells [cell, cell + cells) and channels [channel, channel + channels) of each.
  struct Depth {
    int64_t cell, cells, channel, channels;
  };

  void cut_depth() {
    constexpr int64_t kStep = kPerStep<Factor<T>>;
    const int64_t most =
        kStep * kDepthBytes / (kPanel<T> * static_cast<int64_t>(sizeof(Factor<T>)));
    if (cells_.count == 0 || cells_.depth == 0) {
      depths_.push_back({0, 0, 0, 0});
    } else if (cells_.depth > most) {
      const CutLength channels{cells_.depth,
                               equal_piece(cells_.depth / kStep, most / kStep) * kStep};
      for (int64_t cell = 0; cell < cells_.count; ++cell)
        for (int64_t i = 0; i < channels.count(); ++i)
          depths_.push_back({cell, 1, channels.begin(i), channels.size(i)});
    } else {
      const CutLength part{cells_.count, equal_piece(cells_.count, most / cells_.depth)};
      for (int64_t i = 0; i < part.count(); ++i)
        depths_.push_back({part.begin(i), part.size(i), 0, cells_.depth});
    }
  }

  // The pointers of a block's tiles.
  class Block {
   public:
    Block(const TapSums& sums, int64_t first, int64_t count)
        : s_(sums),
          count_(count),
          tiles_(pieces_of(count, kTileRows)),
          cells_(sums.cells_.count),
          results_(static_cast<size_t>(tiles_ * kTileRows)),
          sources_(static_cast<size_t>(tiles_ * cells_ * kTileRows)),
          numbers_(static_cast<size_t>(tiles_ * cells_)),
          begins_(static_cast<size_t>(tiles_ * (cells_ + 1))),
          pointers_(sums.p_, sums.cells_, sums.by_image_) {
      if (s_.cells_.joined)
        copies_ = Tensor::empty({count * cells_ * s_.cells_.depth}, dtype_of<T>());
      T* copies = s_.cells_.joined ? copies_.data<T>() : nullptr;
      pointers_.begin_at(first);
      for (int64_t tile = 0; tile < tiles_; ++tile) {
        pointers_.take(rows_of(tile), &results_[static_cast<size_t>(tile * kTileRows)]);
        point(tile, copies);
      }
    }

    // Adds the products of `depth` with panel j, the first of them to the bias.
    void multiply(const Depth& depth, int64_t j) const {
      const bool begins = depth.cell == 0 && depth.channel == 0;
      SumTile<T> t{.channel = depth.channel,
                   .depth = depth.channels,
                   .panel = s_.p_.panels + j * cells_ * steps_of<Factor<T>>(s_.cells_.depth),
                   .cell_size = steps_of<Factor<T>>(s_.cells_.depth) * kPanel<T>,
                   .width = std::min<int64_t>(kPanel<T>, s_.p_.width - j),
                   .bias = begins && s_.p_.bias ? s_.p_.bias + j : nullptr,
                   .add = !begins};
      Accumulate<T>* results[kTileRows];
      t.result = results;
      for (int64_t tile = 0; tile < tiles_; ++tile) {
        const int32_t* const begin = &begins_[static_cast<size_t>(tile * (cells_ + 1))];
        const int64_t from = tile * cells_ + begin[depth.cell];
        t.sources = sources_.data() + from * kTileRows;
        t.cells = numbers_.data() + from;
        t.count = begin[depth.cell + depth.cells] - begin[depth.cell];
        for (int64_t r = 0; r < rows_of(tile); ++r)
          results[r] = results_[static_cast<size_t>(tile * kTileRows + r)] + j;
        sum_tile(rows_of(tile), t);
      }
    }

   private:
    int64_t rows_of(int64_t tile) const {
      return std::min<int64_t>(kTileRows, count_ - tile * kTileRows);
    }

    // The cells that meet the map in any pixel of the tile.
    void point(int64_t tile, T*& copies) {
      int32_t* const begin = &begins_[static_cast<size_t>(tile * (cells_ + 1))];
      const T** to = sources_.data() + tile * cells_ * kTileRows;
      int32_t used = 0;
      const auto across = static_cast<size_t>(s_.cells_.across);
      for (size_t cell = 0; cell < static_cast<size_t>(cells_); ++cell) {
        begin[cell] = used;
        if (!pointers_.point(cell / across, cell % across, to, copies)) continue;
        numbers_[static_cast<size_t>(tile * cells_ + used++)] = static_cast<int32_t>(cell);
        to += kTileRows;
      }
      begin[cells_] = used;
    }

    const TapSums& s_;
    int64_t count_, tiles_, cells_;
    std::vector<Accumulate<T>*> results_;
    std::vector<const T*> sources_;
    std::vector<int32_t> numbers_, begins_;
    TapPointers<T> pointers_;
    Tensor copies_;
  };

  const TapProblem<T>& p_;
  TapCells<T> cells_;
  bool by_image_;
  int64_t block_ = 0;
  CutLength panels_{};
  std::vector<Depth> depths_;
};

PASSBAND_LEVEL_END
