// Sums over the taps of windows, as an implicit product: blocks of pixels times panels of weights.
// Forward convolutions are one of these, input gradients one for each residue of the stride.
#pragma once
#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/conv/shape.h"
#include "tensor/ops/conv/sum_tile.h"

namespace passband::cpu {

// result[image, i, j, :] = bias + sum over cells of source[image, i', j', :] panel[cell], for the
// channels of one group.
template <class T> struct TapProblem {
  int64_t images;
  const AxisTaps &rows, &columns;
  const T* source;  // (images, rows.sources, columns.sources, source_channels), at the group
  int64_t source_channels, depth;
  T* result;  // (images, result_rows, result_columns, result_channels), at the group
  int64_t result_rows, result_columns, result_channels, width;
  const T* panels;  // (panels, cells, depth, kPanel)
  const T* bias;    // (panels, kPanel), null: none

  int64_t cells() const { return static_cast<int64_t>(rows.cells.size() * columns.cells.size()); }
  int64_t map() const { return rows.outputs * columns.outputs; }
  int64_t pixels() const { return images * map(); }
};

// Pixels of the result, a task at a time.
template <class T> class TapSums {
 public:
  explicit TapSums(const TapProblem<T>& problem)
      : p_(problem),
        cells_(problem.cells()),
        gathered_(problem.depth < kShallow && cells_ > 1),
        by_image_(problem.map() > kSmallMap || problem.images < kTileRows),
        zeros_(Tensor::zeros({std::max<int64_t>(problem.depth, 1)}, dtype_of<T>())) {
    block_ = equal_piece(std::max<int64_t>(pieces_of(p_.pixels(), kTileRows), 1), kBlockTiles) *
             kTileRows;
    cut_depth();
  }
  int64_t blocks() const { return pieces_of(p_.pixels(), block_); }

  void operator()(int64_t block) const {
    const int64_t first = block * block_, count = std::min(block_, p_.pixels() - first);
    Block b(*this, first, count);
    for (const Depth& depth : depths_)
      for (int64_t j = 0; j < p_.width; j += kPanel<T>) b.multiply(depth, j);
  }

 private:
  static constexpr int64_t kBlockTiles = 16;        // of pixels, in a task
  static constexpr int64_t kDepthBytes = 16 << 10;  // of a panel, in the first cache
  static constexpr int64_t kShallow = 16;           // channels: patches are copied
  static constexpr int64_t kSmallMap = 16;          // pixels

  // Cells [cell, cell + cells) and channels [channel, channel + channels) of each.
  struct Depth {
    int64_t cell, cells, channel, channels;
  };

  struct Pixel {
    int64_t image, row, column;
  };

  int64_t patch() const { return cells_ * p_.depth; }

  void cut_depth() {
    const int64_t most = kDepthBytes / (kPanel<T> * static_cast<int64_t>(sizeof(T)));
    const int64_t run = gathered_ ? patch() : p_.depth, cells = gathered_ ? 1 : cells_;
    if (cells == 0 || run == 0) {
      depths_.push_back({0, 0, 0, 0});
    } else if (run > most) {
      const CutLength channels{run, equal_piece(run, most)};
      for (int64_t cell = 0; cell < cells; ++cell)
        for (int64_t i = 0; i < channels.count(); ++i)
          depths_.push_back({cell, 1, channels.begin(i), channels.size(i)});
    } else {
      const CutLength part{cells, equal_piece(cells, most / run)};
      for (int64_t i = 0; i < part.count(); ++i)
        depths_.push_back({part.begin(i), part.size(i), 0, run});
    }
  }

  // Pixel p in the order of the tasks. On small maps the pixels of a tile have one place in many
  // images, so that cells beside the map cost nothing.
  Pixel pixel(int64_t p) const {
    const int64_t at = by_image_ ? p % p_.map() : p / p_.images;
    return {by_image_ ? p / p_.map() : p % p_.images, at / p_.columns.outputs,
            at % p_.columns.outputs};
  }
  T* result(const Pixel& at) const {
    const int64_t row = p_.rows.first + at.row * p_.rows.spacing;
    const int64_t column = p_.columns.first + at.column * p_.columns.spacing;
    return p_.result +
           ((at.image * p_.result_rows + row) * p_.result_columns + column) * p_.result_channels;
  }
  // Where the cell's channels begin; null beside the map.
  const T* source(const Pixel& at, const AxisTaps::Cell& row, const AxisTaps::Cell& column) const {
    if (!p_.rows.inside(at.row, row) || !p_.columns.inside(at.column, column)) return nullptr;
    const int64_t i = at.row * p_.rows.step + row.offset;
    const int64_t j = at.column * p_.columns.step + column.offset;
    return p_.source +
           ((at.image * p_.rows.sources + i) * p_.columns.sources + j) * p_.source_channels;
  }

  // The pointers of a block's tiles.
  class Block {
   public:
    Block(const TapSums& sums, int64_t first, int64_t count)
        : s_(sums),
          count_(count),
          tiles_(pieces_of(count, kTileRows)),
          cells_(sums.gathered_ ? 1 : sums.cells_),
          results_(static_cast<size_t>(tiles_ * kTileRows)),
          sources_(static_cast<size_t>(tiles_ * cells_ * kTileRows)),
          numbers_(static_cast<size_t>(tiles_ * cells_)),
          begins_(static_cast<size_t>(tiles_ * (cells_ + 1))) {
      if (s_.gathered_) patches_ = Tensor::empty({count * s_.patch()}, dtype_of<T>());
      for (int64_t tile = 0; tile < tiles_; ++tile) {
        Pixel at[kTileRows];
        for (int64_t r = 0; r < rows_of(tile); ++r) {
          at[r] = s_.pixel(first + tile * kTileRows + r);
          results_[static_cast<size_t>(tile * kTileRows + r)] = s_.result(at[r]);
        }
        if (s_.gathered_) gather(tile, at);
        else point(tile, at);
      }
    }

    // Adds the products of `depth` with panel j, the first of them to the bias.
    void multiply(const Depth& depth, int64_t j) const {
      const bool begins = depth.cell == 0 && depth.channel == 0;
      SumTile<T> t{.channel = depth.channel,
                   .depth = depth.channels,
                   .panel = s_.p_.panels + j * s_.patch(),
                   .cell_size = s_.p_.depth * kPanel<T>,
                   .width = std::min<int64_t>(kPanel<T>, s_.p_.width - j),
                   .bias = begins && s_.p_.bias ? s_.p_.bias + j : nullptr,
                   .add = !begins};
      T* results[kTileRows];
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
    void point(int64_t tile, const Pixel* at) {
      int32_t* const begin = &begins_[static_cast<size_t>(tile * (cells_ + 1))];
      const T** to = sources_.data() + tile * cells_ * kTileRows;
      int32_t cell = 0, used = 0;
      for (const AxisTaps::Cell& row : s_.p_.rows.cells)
        for (const AxisTaps::Cell& column : s_.p_.columns.cells) {
          begin[cell] = used;
          bool any = false;
          for (int64_t r = 0; r < rows_of(tile); ++r) {
            const T* const from = s_.source(at[r], row, column);
            any |= from != nullptr;
            to[r] = from ? from : s_.zeros_.template data<T>();
          }
          if (any) {
            numbers_[static_cast<size_t>(tile * cells_ + used++)] = cell;
            to += kTileRows;
          }
          ++cell;
        }
      begin[cell] = used;
    }

    // The tile's patches, copied: one cell that holds all channels of all cells.
    void gather(int64_t tile, const Pixel* at) {
      const int64_t depth = s_.p_.depth;
      for (int64_t r = 0; r < rows_of(tile); ++r) {
        T* to = patches_.data<T>() + (tile * kTileRows + r) * s_.patch();
        sources_[static_cast<size_t>(tile * kTileRows + r)] = to;
        for (const AxisTaps::Cell& row : s_.p_.rows.cells)
          for (const AxisTaps::Cell& column : s_.p_.columns.cells) {
            const T* const from = s_.source(at[r], row, column);
            if (from) std::copy_n(from, depth, to);
            else std::fill_n(to, depth, T(0));
            to += depth;
          }
      }
      numbers_[static_cast<size_t>(tile)] = 0;
      begins_[static_cast<size_t>(2 * tile)] = 0;
      begins_[static_cast<size_t>(2 * tile + 1)] = 1;
    }

    const TapSums& s_;
    int64_t count_, tiles_, cells_;
    std::vector<T*> results_;
    std::vector<const T*> sources_;
    std::vector<int32_t> numbers_, begins_;
    Tensor patches_;
  };

  const TapProblem<T>& p_;
  int64_t cells_;
  bool gathered_, by_image_;
  int64_t block_ = 0;
  std::vector<Depth> depths_;
  Tensor zeros_;
};

}  // namespace passband::cpu
