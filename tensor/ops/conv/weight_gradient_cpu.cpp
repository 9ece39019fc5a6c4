// The weight gradient of direct convolutions: sums over pixels, block by block of the weight and of
// the pixels, of which both operands are packed.
#include <algorithm>

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/conv/depthwise.h"
#include "tensor/ops/conv/direct.h"
#include "tensor/ops/conv/gradient_tile.h"

namespace passband::cpu {
namespace {

// Windows of a picture of x, which may be every other of its pixels.
struct Picture {
  int64_t row_step, column_step;  // of x's pixels, for one here
  ConvAxis rows, columns;

  // A kernel of one cell without padding meets every stride-th pixel and no other.
  static bool sparse(const ConvAxis& axis) {
    return axis.kernel == 1 && axis.before == 0 && (axis.out - 1) * axis.stride < axis.in;
  }
  static ConvAxis dense(const ConvAxis& axis) {
    return sparse(axis) ? ConvAxis{axis.out, axis.out, 1, 1, 1, 0} : axis;
  }
  explicit Picture(const ConvShape& s)
      : row_step(sparse(s.rows) ? s.rows.stride : 1),
        column_step(sparse(s.columns) ? s.columns.stride : 1),
        rows(dense(s.rows)),
        columns(dense(s.columns)) {}
};

// The outputs that meet the source in cell k.
struct Reach {
  int64_t begin, end, offset;

  Reach(const ConvAxis& axis, int64_t k) : offset(k * axis.dilation - axis.before) {
    const auto up = [&](int64_t a) { return a > 0 ? (a + axis.stride - 1) / axis.stride : 0; };
    begin = std::min(axis.out, up(-offset));
    end = std::max(begin, std::min(axis.out, up(axis.in - offset)));
  }
};

// How the gradient of one merged group is cut. A task makes the sums of a block of the weight over
// a part of the pixels.
template <class T> struct GradientPlan {
  static constexpr int64_t kSumBytes = 144 << 10;     // of a block, in the second cache
  static constexpr int64_t kPackedBytes = 192 << 10;  // of both operands, there as well
  static constexpr int64_t kPixels = 256;             // a step, for sums that stay in registers
  static constexpr int64_t kTasks = 32;
  static constexpr int64_t kShallow = 16;  // channels: patches are copied

  const ConvShape& s;
  Picture picture;
  bool gathered;
  int64_t merged, co, width, cells;  // of the sums: y's channels, x's channels, cells
  CutLength tiles, panels;           // in blocks
  int64_t images = 1, rows = 0;      // of a step: whole images, or some rows of one
  CutLength steps{};                 // in parts

  explicit GradientPlan(const ConvShape& shape)
      : s(shape), picture(shape), merged(shape.merged_groups(kLanes<T>)) {
    gathered = s.ci() * merged < kShallow && s.cells() > 1;
    co = s.co() * merged;
    width = s.ci() * merged * (gathered ? s.cells() : 1);
    cells = gathered ? 1 : s.cells();
    cut_weight();
    cut_pixels();
  }

  int64_t groups() const { return s.groups / merged; }
  int64_t blocks() const { return tiles.count() * panels.count(); }
  int64_t parts() const { return steps.count(); }
  int64_t sums_size() const {  // of a task: (panels, cells, tiles, kTileRows, kPanel)
    return panels.piece * cells * tiles.piece * kTileRows * kPanel<T>;
  }
  int64_t steps_of_image() const { return pieces_of(s.rows.out, rows); }

 private:
  void cut_weight() {
    const int64_t most = kSumBytes / (cells * kTileRows * kPanel<T> * int64_t{sizeof(T)});
    const int64_t all_tiles = pieces_of(co, kTileRows), all_panels = pieces_of(width, kPanel<T>);
    // Blocks about as high as wide, in channels.
    int64_t wide = 1;
    while ((wide + 1) * (wide + 1) * kPanel<T> <= most * kTileRows) ++wide;
    wide = std::min(wide, all_panels);
    int64_t high = std::clamp<int64_t>(most / wide, 1, all_tiles);
    wide = std::clamp<int64_t>(most / high, 1, all_panels);
    tiles = {all_tiles, equal_piece(all_tiles, high)};
    panels = {all_panels, equal_piece(all_panels, wide)};
  }
  void cut_pixels() {
    const int64_t channels = tiles.piece * kTileRows + panels.piece * kPanel<T>;
    const int64_t most = std::clamp<int64_t>(
        kPackedBytes / (channels * static_cast<int64_t>(sizeof(T))), 32, kPixels);
    const int64_t map = s.rows.out * s.columns.out;
    rows = s.rows.out;
    if (map <= most) images = equal_piece(s.n, std::min(s.n, most / map));
    else rows = equal_piece(s.rows.out, std::max<int64_t>(1, most / s.columns.out));
    const int64_t count = pieces_of(s.n, images) * steps_of_image();
    const int64_t wanted = std::clamp<int64_t>(kTasks / (blocks() * groups()), 1, 16);
    steps = {count, pieces_of(count, std::min(count, wanted))};
  }
};

// One task.
template <class T> class GradientSums {
 public:
  GradientSums(const GradientPlan<T>& plan, int64_t group, int64_t block, T* sums, const T* dy,
               const T* x)
      : p_(plan),
        s_(plan.s),
        tile_(block / plan.panels.count()),
        panel_(block % plan.panels.count()),
        sums_(sums),
        dy_(dy + group * plan.co),
        x_(x + group * plan.merged * plan.s.ci()) {
    const int64_t tall = p_.picture.rows.in;
    const int64_t step_rows =
        std::min(tall, (p_.rows - 1) * p_.picture.rows.stride +
                           (p_.picture.rows.kernel - 1) * p_.picture.rows.dilation + 1);
    x_pixels_ = p_.gathered ? p_.images * p_.rows * s_.columns.out
                            : p_.images * step_rows * p_.picture.columns.in;
    dy_pixels_ = p_.images * p_.rows * s_.columns.out;
    packed_x_ = Tensor::empty({p_.panels.piece * x_pixels_ * kPanel<T>}, dtype_of<T>());
    packed_dy_ = Tensor::empty({p_.tiles.piece * dy_pixels_ * kTileRows}, dtype_of<T>());
    patch_.resize(
        static_cast<size_t>(p_.gathered ? pieces_of(p_.width, kPanel<T>) * kPanel<T> : 0));
  }

  void operator()(int64_t part) {
    std::fill_n(sums_, p_.sums_size(), T(0));
    const int64_t begin = p_.steps.begin(part), end = begin + p_.steps.size(part);
    for (int64_t step = begin; step < end; ++step) add(step);
  }

 private:
  int64_t panels() const { return p_.panels.size(panel_); }
  int64_t tiles() const { return p_.tiles.size(tile_); }

  void add(int64_t step) {
    const int64_t across = p_.steps_of_image();
    image_ = step / across * p_.images;
    images_ = std::min(p_.images, s_.n - image_);
    row_ = step % across * p_.rows;
    rows_ = std::min(p_.rows, s_.rows.out - row_);
    pack_dy();
    if (p_.gathered) pack_patches();
    else pack_x();
    for (int64_t j = 0; j < panels(); ++j)
      for (int64_t cell = 0; cell < p_.cells; ++cell) multiply(j, cell);
  }

  // Tiles of dy: (tiles, images, rows, columns, kTileRows).
  void pack_dy() {
    const int64_t pixels = rows_ * s_.columns.out;
    for (int64_t image = 0; image < images_; ++image) {
      const T* from = dy_ + ((image_ + image) * s_.rows.out + row_) * s_.columns.out * s_.o;
      T* const to = packed_dy_.data<T>() + image * pixels * kTileRows;
      for (int64_t pixel = 0; pixel < pixels; ++pixel, from += s_.o)
        pack_channels<kTileRows>(from, p_.tiles.begin(tile_) * kTileRows, p_.co, tiles(),
                                 to + pixel * kTileRows, dy_pixels_ * kTileRows);
    }
  }

  // Panels of the rows of x that the step meets: (panels, images, rows, columns, kPanel).
  void pack_x() {
    const ConvAxis &rows = p_.picture.rows, &columns = p_.picture.columns;
    const int64_t last =
        (row_ + rows_ - 1) * rows.stride - rows.before + (rows.kernel - 1) * rows.dilation;
    x_row_ = std::clamp<int64_t>(row_ * rows.stride - rows.before, 0, rows.in);
    x_rows_ = std::clamp<int64_t>(last + 1, x_row_, rows.in) - x_row_;
    T* to = packed_x_.data<T>();
    for (int64_t image = 0; image < images_; ++image)
      for (int64_t i = 0; i < x_rows_; ++i) {
        const T* from = x_ + ((image_ + image) * s_.rows.in + (x_row_ + i) * p_.picture.row_step) *
                                 s_.columns.in * s_.c;
        for (int64_t j = 0; j < columns.in; ++j, to += kPanel<T>)
          pack_channels<kPanel<T>>(from + j * p_.picture.column_step * s_.c,
                                   p_.panels.begin(panel_) * kPanel<T>, p_.width, panels(), to,
                                   x_pixels_ * kPanel<T>);
      }
  }

  // Panels of patches: (panels, images, rows, columns, kPanel).
  void pack_patches() {
    T* to = packed_x_.data<T>();
    for (int64_t image = 0; image < images_; ++image)
      for (int64_t i = row_; i < row_ + rows_; ++i)
        for (int64_t j = 0; j < s_.columns.out; ++j, to += kPanel<T>) {
          copy_patch(image_ + image, i, j);
          pack_channels<kPanel<T>>(patch_.data(), p_.panels.begin(panel_) * kPanel<T>, p_.width,
                                   panels(), to, x_pixels_ * kPanel<T>);
        }
  }

  void copy_patch(int64_t image, int64_t row, int64_t column) {
    const int64_t depth = p_.merged * s_.ci();
    T* to = patch_.data();
    for (int64_t i = 0; i < s_.rows.kernel; ++i)
      for (int64_t j = 0; j < s_.columns.kernel; ++j, to += depth) {
        const int64_t y = row * s_.rows.stride - s_.rows.before + i * s_.rows.dilation;
        const int64_t x = column * s_.columns.stride - s_.columns.before + j * s_.columns.dilation;
        if (y < 0 || y >= s_.rows.in || x < 0 || x >= s_.columns.in) std::fill_n(to, depth, T(0));
        else std::copy_n(x_ + ((image * s_.rows.in + y) * s_.columns.in + x) * s_.c, depth, to);
      }
  }

  // Channels [first, first + count * Width) of one pixel into `count` places, zeros behind the
  // last.
  template <int Width> static void pack_channels(const T* from, int64_t first, int64_t channels,
                                                 int64_t count, T* to, int64_t step) {
    for (int64_t i = 0; i < count; ++i, first += Width, to += step) {
      if (first + Width <= channels) {
        for (int c = 0; c < Width; ++c) to[c] = from[first + c];
      } else {
        for (int c = 0; c < Width; ++c) to[c] = first + c < channels ? from[first + c] : T(0);
      }
    }
  }

  void multiply(int64_t panel, int64_t cell) {
    const int64_t width = p_.width - (p_.panels.begin(panel_) + panel) * kPanel<T>;
    const int64_t pixels = rows_ * s_.columns.out;
    GradientTile<T> t{
        .dy = packed_dy_.data<T>(),
        .x = packed_x_.data<T>() + panel * x_pixels_ * kPanel<T>,
        .images = 1,
        .rows = 1,
        .columns = images_ * pixels,
        .x_column = kPanel<T>,
        .sums = sums_ + (panel * p_.cells + cell) * p_.tiles.piece * kTileRows * kPanel<T>};
    if (!p_.gathered && !aim(cell, t)) return;
    for (int64_t i = 0; i < tiles(); ++i) {
      const int64_t rows = p_.co - (p_.tiles.begin(tile_) + i) * kTileRows;
      gradient_tile(std::min<int64_t>(rows, kTileRows), width, t);
      t.dy += dy_pixels_ * kTileRows;
      t.sums += kTileRows * kPanel<T>;
    }
  }

  // The pixels whose window meets x in the cell; false: there is none.
  bool aim(int64_t cell, GradientTile<T>& t) const {
    const ConvAxis &rows = p_.picture.rows, &columns = p_.picture.columns;
    const Reach down(rows, cell / columns.kernel), right(columns, cell % columns.kernel);
    const int64_t begin = std::max(down.begin, row_), end = std::min(down.end, row_ + rows_);
    if (begin >= end || right.begin >= right.end) return false;
    t.dy_row = s_.columns.out * kTileRows;
    t.dy_image = rows_ * t.dy_row;
    t.x_column = columns.stride * kPanel<T>;
    t.x_row = rows.stride * columns.in * kPanel<T>;
    t.x_image = x_rows_ * columns.in * kPanel<T>;
    t.images = images_;
    t.rows = end - begin;
    t.columns = right.end - right.begin;
    t.dy += (begin - row_) * t.dy_row + right.begin * kTileRows;
    t.x += ((begin * rows.stride + down.offset - x_row_) * columns.in +
            right.begin * columns.stride + right.offset) *
           kPanel<T>;
    return true;
  }

  const GradientPlan<T>& p_;
  const ConvShape& s_;
  int64_t tile_, panel_;  // which block
  T* sums_;
  const T *dy_, *x_;
  int64_t x_pixels_, dy_pixels_;  // that a packed panel or tile has room for
  Tensor packed_x_, packed_dy_;
  std::vector<T> patch_;
  // of the step
  int64_t image_ = 0, images_ = 0, row_ = 0, rows_ = 0, x_row_ = 0, x_rows_ = 0;
};

// dw from the sums (blocks, parts, sums of a task) of one merged group.
template <class T> void join(const GradientPlan<T>& p, int64_t group, const T* sums, T* dw) {
  const int64_t ci = p.s.ci(), co = p.s.co();
  const int64_t depth = p.merged * ci;
  parallel_for(p.co, grain_for(p.s.cells() * ci * p.parts()), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t tile = j / kTileRows, high = tile / p.tiles.piece, member = j / co;
      T* const to = dw + (group * p.co + j) * p.s.cells() * ci;
      for (int64_t cell = 0; cell < p.s.cells(); ++cell)
        for (int64_t c = 0; c < ci; ++c) {
          const int64_t at = (p.gathered ? cell * depth : 0) + member * ci + c;
          const int64_t panel = at / kPanel<T>, wide = panel / p.panels.piece;
          const T* from =
              sums + (high * p.panels.count() + wide) * p.parts() * p.sums_size() +
              (((panel % p.panels.piece) * p.cells + (p.gathered ? 0 : cell)) * p.tiles.piece +
               tile % p.tiles.piece) *
                  kTileRows * kPanel<T> +
              j % kTileRows * kPanel<T> + at % kPanel<T>;
          T total = from[0];
          for (int64_t part = 1; part < p.parts(); ++part) total += from[part * p.sums_size()];
          to[cell * ci + c] = total;
        }
    }
  });
}

}  // namespace

template <class T> void direct_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x) {
  if (s.depthwise()) return depthwise_backward_weight(s, dw, dy, x);
  const GradientPlan<T> plan(s);
  const int64_t tasks = plan.blocks() * plan.parts(), size = tasks * plan.sums_size();
  Tensor sums = Tensor::empty({plan.groups() * size}, dtype_of<T>());
  for_pieces(plan.groups() * tasks, [&](int64_t i) {
    GradientSums<T>(plan, i / tasks, i % tasks / plan.parts(),
                    sums.data<T>() + i * plan.sums_size(), dy, x)(i % plan.parts());
  });
  for (int64_t group = 0; group < plan.groups(); ++group)
    join(plan, group, sums.data<T>() + group * size, dw);
}

template void direct_backward_weight(const ConvShape&, float*, const float*, const float*);
template void direct_backward_weight(const ConvShape&, double*, const double*, const double*);

}  // namespace passband::cpu
