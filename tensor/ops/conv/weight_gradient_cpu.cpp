// The weight gradient of direct convolutions: sums over pixels, block by block of the weight and of
// the pixels, of which both operands are packed.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/core/tensor.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/conv/depthwise.h"
#include "tensor/ops/conv/direct.h"
#include "tensor/ops/conv/gradient_tile.h"

LEVEL_BEGIN
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
  static constexpr int64_t kSumBytes = 768 << 10;     // of a block; they pass once a step
  static constexpr int64_t kPackedBytes = 160 << 10;  // of either operand, in the second cache
  static constexpr int64_t kPixels = 256;             // a step, for sums that stay in registers
  static constexpr int64_t kPixelsOfPart = 1024;      // worth a further copy of the sums
  static constexpr int64_t kTasks = 16;
  static constexpr int64_t kShallow = 16;   // channels: patches are copied
  static constexpr int64_t kSmallMap = 16;  // pixels

  const ConvShape& s;
  Picture picture;
  bool gathered;
  int64_t merged, co, width, cells;  // of the sums: y's channels, x's channels, cells
  CutLength tiles, panels;           // in blocks
  int64_t images = 1, rows = 0;      // of a step: whole images, or some rows of one
  int64_t group = 1;                 // panels of x packed at a time
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
  // On small maps neighbours in memory are pixels of one place in neighbouring images: longer loops
  // than a row of the map.
  bool by_place() const { return !gathered && s.rows.out * s.columns.out <= kSmallMap; }

 private:
  // Pixels of x packed for one of dy.
  double share() const {
    if (gathered) return 1;
    return static_cast<double>(picture.rows.in * picture.columns.in) /
           static_cast<double>(s.rows.out * s.columns.out);
  }
  int64_t most_parts() const { return std::clamp<int64_t>(s.pixels() / kPixelsOfPart, 1, kTasks); }

  // Blocks in which about as many numbers of x as of dy are packed for a product.
  void cut_weight() {
    const int64_t all_tiles = pieces_of(co, kTileRows), all_panels = pieces_of(width, kPanel<T>);
    const int64_t size = cells * kTileRows * kPanel<T> * static_cast<int64_t>(sizeof(T));
    const int64_t most = std::clamp<int64_t>(
        all_tiles * all_panels * groups() * most_parts() / kTasks, 1, kSumBytes / size);
    const double square = static_cast<double>(most * kTileRows) / (share() * kPanel<T>);
    int64_t wide = std::clamp<int64_t>(std::llround(std::sqrt(square)), 1, all_panels);
    const int64_t high = std::clamp<int64_t>(most / wide, 1, all_tiles);
    wide = std::clamp<int64_t>(most / high, 1, all_panels);
    tiles = {all_tiles, equal_piece(all_tiles, high)};
    panels = {all_panels, equal_piece(all_panels, wide)};
  }

  void cut_pixels() {
    const auto fitting = [](double numbers) {
      return static_cast<int64_t>(static_cast<double>(kPackedBytes / sizeof(T)) / numbers);
    };
    const int64_t most =
        std::clamp<int64_t>(std::min(fitting(static_cast<double>(tiles.piece * kTileRows)),
                                     fitting(share() * kPanel<T>)),
                            32, kPixels);
    const int64_t map = s.rows.out * s.columns.out;
    rows = s.rows.out;
    if (map <= most) images = equal_piece(s.n, std::min(s.n, most / map));
    else rows = equal_piece(s.rows.out, std::max<int64_t>(1, most / s.columns.out));
    const auto pixels = static_cast<double>(images * rows * s.columns.out);
    group = gathered ? panels.piece
                     : std::clamp<int64_t>(fitting(share() * pixels * kPanel<T>), 1, panels.piece);
    const int64_t count = pieces_of(s.n, images) * steps_of_image();
    const int64_t wanted = std::clamp<int64_t>(kTasks / (blocks() * groups()), 1, most_parts());
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
    packed_x_ = Tensor::empty({p_.group * panel_size()}, dtype_of<T>());
    packed_dy_ = Tensor::empty({p_.tiles.piece * tile_size()}, dtype_of<T>());
    if (p_.gathered) patches_.resize(static_cast<size_t>(s_.columns.out * padded_patch()));
  }

  void operator()(int64_t part) {
    std::fill_n(sums_, p_.sums_size(), T(0));
    const int64_t begin = p_.steps.begin(part), end = begin + p_.steps.size(part);
    for (int64_t step = begin; step < end; ++step) add(step);
  }

 private:
  // A line more than the pixels take, so that neighbours do not share sets of the cache.
  static constexpr int64_t kApart = 64 / static_cast<int64_t>(sizeof(T));
  int64_t panel_size() const { return x_pixels_ * kPanel<T> + kApart; }
  int64_t tile_size() const { return dy_pixels_ * kTileRows + kApart; }
  int64_t panels() const { return p_.panels.size(panel_); }
  int64_t tiles() const { return p_.tiles.size(tile_); }

  void add(int64_t step) {
    const int64_t across = p_.steps_of_image();
    image_ = step / across * p_.images;
    images_ = std::min(p_.images, s_.n - image_);
    row_ = step % across * p_.rows;
    rows_ = std::min(p_.rows, s_.rows.out - row_);
    pack_dy();
    for (int64_t first = 0; first < panels(); first += p_.group) {
      const int64_t count = std::min(p_.group, panels() - first);
      if (p_.gathered) pack_patches();
      else pack_x(first, count);
      for (int64_t j = 0; j < count; ++j)
        for (int64_t cell = 0; cell < p_.cells; ++cell) multiply(first + j, j, cell);
    }
  }

  // Places in a packed tile or panel, in pixels: from image to image and from pixel to pixel.
  int64_t image_step(int64_t pixels) const { return p_.by_place() ? 1 : pixels; }
  int64_t pixel_step() const { return p_.by_place() ? images_ : 1; }

  // Tiles of dy: (tiles, images, rows, columns, kTileRows).
  void pack_dy() {
    const int64_t pixels = rows_ * s_.columns.out;
    for (int64_t image = 0; image < images_; ++image)
      pack_line<kTileRows>(dy_ + ((image_ + image) * s_.rows.out + row_) * s_.columns.out * s_.o,
                           s_.o, pixels, p_.tiles.begin(tile_) * kTileRows, p_.co, tiles(),
                           packed_dy_.data<T>() + image * image_step(pixels) * kTileRows,
                           tile_size());
  }

  // Some panels of the rows of x that the step meets: (panels, images, rows, columns, kPanel).
  void pack_x(int64_t first, int64_t count) {
    const ConvAxis &rows = p_.picture.rows, &columns = p_.picture.columns;
    const int64_t last =
        (row_ + rows_ - 1) * rows.stride - rows.before + (rows.kernel - 1) * rows.dilation;
    x_row_ = std::clamp<int64_t>(row_ * rows.stride - rows.before, 0, rows.in);
    x_rows_ = std::clamp<int64_t>(last + 1, x_row_, rows.in) - x_row_;
    for (int64_t image = 0; image < images_; ++image)
      for (int64_t i = 0; i < x_rows_; ++i)
        pack_line<kPanel<T>>(
            x_ + ((image_ + image) * s_.rows.in + (x_row_ + i) * p_.picture.row_step) *
                     s_.columns.in * s_.c,
            p_.picture.column_step * s_.c, columns.in,
            (p_.panels.begin(panel_) + first) * kPanel<T>, p_.width, count,
            packed_x_.data<T>() +
                (image * image_step(x_rows_ * columns.in) + i * columns.in * pixel_step()) *
                    kPanel<T>,
            panel_size());
  }

  int64_t padded_patch() const { return pieces_of(p_.width, kPanel<T>) * kPanel<T>; }

  // Panels of patches: (panels, images, rows, columns, kPanel).
  void pack_patches() {
    T* to = packed_x_.data<T>();
    for (int64_t image = image_; image < image_ + images_; ++image)
      for (int64_t i = row_; i < row_ + rows_; ++i, to += s_.columns.out * kPanel<T>) {
        for (int64_t j = 0; j < s_.columns.out; ++j)
          copy_patch(image, i, j, patches_.data() + j * padded_patch());
        pack_line<kPanel<T>>(patches_.data(), padded_patch(), s_.columns.out,
                             p_.panels.begin(panel_) * kPanel<T>, padded_patch(), panels(), to,
                             panel_size());
      }
  }

  void copy_patch(int64_t image, int64_t row, int64_t column, T* to) const {
    const ConvAxis &rows = s_.rows, &columns = s_.columns;
    const int64_t depth = p_.merged * s_.ci(), run = columns.kernel * depth;
    const int64_t left = column * columns.stride - columns.before;
    const bool neighbours =
        depth == s_.c && columns.dilation == 1 && left >= 0 && left + columns.kernel <= columns.in;
    for (int64_t i = 0; i < rows.kernel; ++i, to += run) {
      const int64_t y = row * rows.stride - rows.before + i * rows.dilation;
      const T* const line = x_ + (image * rows.in + y) * columns.in * s_.c;
      if (y < 0 || y >= rows.in) {
        std::fill_n(to, run, T(0));
      } else if (neighbours) {
        copy_short(line + left * s_.c, run, to);
      } else {
        for (int64_t j = 0; j < columns.kernel; ++j) {
          const int64_t at = left + j * columns.dilation;
          if (at < 0 || at >= columns.in) std::fill_n(to + j * depth, depth, T(0));
          else copy_short(line + at * s_.c, depth, to + j * depth);
        }
      }
    }
  }

  // As std::copy_n, without a call.
  static void copy_short(const T* from, int64_t count, T* to) {
    constexpr int L = kLanes<T>;
    if (count < L) {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i];
      return;
    }
    for (int64_t i = 0; i + L < count; i += L) store(to + i, load(from + i));
    store(to + count - L, load(from + count - L));
  }

  // Channels [first, first + count * Width) of a line of pixels into `count` panels, zeros behind
  // the last channel; some pixels at a time, which stay in the cache.
  template <int Width> void pack_line(const T* from, int64_t from_step, int64_t pixels,
                                      int64_t first, int64_t channels, int64_t count, T* to,
                                      int64_t panel_step) const {
    constexpr int64_t kAtOnce = 16;
    const int64_t to_step = pixel_step() * Width;
    for (int64_t begin = 0; begin < pixels; begin += kAtOnce)
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = first + i * Width, end = std::min(pixels, begin + kAtOnce);
        const T* in = from + begin * from_step + c;
        T* out = to + i * panel_step + begin * to_step;
        if (c + Width <= channels) {
          for (int64_t p = begin; p < end; ++p, in += from_step, out += to_step)
            std::memcpy(out, in, Width * sizeof(T));
        } else {
          for (int64_t p = begin; p < end; ++p, in += from_step, out += to_step) {
            std::copy_n(in, channels - c, out);
            std::fill_n(out + channels - c, c + Width - channels, T(0));
          }
        }
      }
  }

  // Panel `panel` of the block, packed as the `place`th.
  void multiply(int64_t panel, int64_t place, int64_t cell) {
    const int64_t width = p_.width - (p_.panels.begin(panel_) + panel) * kPanel<T>;
    const int64_t pixels = rows_ * s_.columns.out;
    GradientTile<T> t{
        .dy = packed_dy_.data<T>(),
        .x = packed_x_.data<T>() + place * panel_size(),
        .counts = {1, 1, images_ * pixels},
        .dy_steps = {0, 0},
        .x_steps = {0, 0, kPanel<T>},
        .sums = sums_ + (panel * p_.cells + cell) * p_.tiles.piece * kTileRows * kPanel<T>};
    if (!p_.gathered && !aim(cell, t)) return;
    for (int64_t i = 0; i < tiles(); ++i) {
      const int64_t rows = p_.co - (p_.tiles.begin(tile_) + i) * kTileRows;
      gradient_tile(std::min<int64_t>(rows, kTileRows), width, t);
      t.dy += tile_size();
      t.sums += kTileRows * kPanel<T>;
    }
  }

  // The pixels whose window meets x in the cell; false: there is none.
  bool aim(int64_t cell, GradientTile<T>& t) const {
    const ConvAxis &rows = p_.picture.rows, &columns = p_.picture.columns;
    const Reach down(rows, cell / columns.kernel), right(columns, cell % columns.kernel);
    const int64_t begin = std::max(down.begin, row_), end = std::min(down.end, row_ + rows_);
    if (begin >= end || right.begin >= right.end) return false;
    const int64_t step = pixel_step();
    // rows, columns, images: in memory and as loops
    const int64_t counts[] = {end - begin, right.end - right.begin, images_};
    const int64_t dy_steps[] = {s_.columns.out * step, step, image_step(rows_ * s_.columns.out)};
    const int64_t x_steps[] = {rows.stride * columns.in * step, columns.stride * step,
                               image_step(x_rows_ * columns.in)};
    for (int loop = 0; loop < 3; ++loop) {
      const int axis = p_.by_place() ? loop : (loop + 2) % 3;
      t.counts[loop] = counts[axis];
      if (loop < 2) t.dy_steps[loop] = dy_steps[axis] * kTileRows;
      t.x_steps[loop] = x_steps[axis] * kPanel<T>;
    }
    t.dy += ((begin - row_) * dy_steps[0] + right.begin * dy_steps[1]) * kTileRows;
    t.x += ((begin * rows.stride + down.offset - x_row_) * columns.in +
            right.begin * columns.stride + right.offset) *
           step * kPanel<T>;
    return true;
  }

  const GradientPlan<T>& p_;
  const ConvShape& s_;
  int64_t tile_, panel_;  // which block
  T* sums_;
  const T *dy_, *x_;
  int64_t x_pixels_, dy_pixels_;  // that a packed panel or tile has room for
  Tensor packed_x_, packed_dy_;
  std::vector<T> patches_;  // of a line, zeros behind each
  // of the step
  int64_t image_ = 0, images_ = 0, row_ = 0, rows_ = 0, x_row_ = 0, x_rows_ = 0;
};

// dw from the sums of the tasks of one merged group, (blocks, parts, sums of a task).
template <class T> class Join {
 public:
  Join(const GradientPlan<T>& plan, const T* sums) : p_(plan), sums_(sums) {}

  // Channel j of y: (cells, ci).
  void operator()(int64_t j, T* dw) const {
    const int64_t ci = p_.s.ci(), cells = p_.s.cells(), first = j / p_.s.co() * ci;
    if (p_.gathered && p_.merged == 1) return add(j, 0, 0, ci * cells, dw);
    for (int64_t cell = 0; cell < cells; ++cell)
      if (p_.gathered) add(j, 0, cell * p_.merged * ci + first, ci, dw + cell * ci);
      else add(j, cell, first, ci, dw + cell * ci);
  }

 private:
  // Channels [at, at + count) of the sums' x.
  void add(int64_t j, int64_t cell, int64_t at, int64_t count, T* to) const {
    for (int64_t c = 0; c < count;) {
      const int64_t lane = (at + c) % kPanel<T>, run = std::min(count - c, kPanel<T> - lane);
      const T* const from = place(j, cell, (at + c) / kPanel<T>) + lane;
      std::copy_n(from, run, to + c);
      for (int64_t part = 1; part < p_.parts(); ++part)
        for (int64_t i = 0; i < run; ++i) to[c + i] += from[part * p_.sums_size() + i];
      c += run;
    }
  }
  const T* place(int64_t j, int64_t cell, int64_t panel) const {
    const int64_t tile = j / kTileRows, tiles = p_.tiles.piece, panels = p_.panels.piece;
    const int64_t block = tile / tiles * p_.panels.count() + panel / panels;
    const int64_t in_block = (panel % panels * p_.cells + cell) * tiles + tile % tiles;
    return sums_ + block * p_.parts() * p_.sums_size() +
           (in_block * kTileRows + j % kTileRows) * kPanel<T>;
  }

  const GradientPlan<T>& p_;
  const T* sums_;
};

}  // namespace

template <class T> void direct_backward_weight(const ConvShape& s, T* dw, const T* dy, const T* x) {
  if (s.depthwise()) return depthwise_backward_weight(s, dw, dy, x);
  const GradientPlan<T> plan(s);
  const int64_t tasks = plan.blocks() * plan.parts(), size = tasks * plan.sums_size();
  Tensor sums = Tensor::empty({plan.groups() * size}, dtype_of<T>());
  for_each_index(plan.groups() * tasks, [&](int64_t i) {
    GradientSums<T>(plan, i / tasks, i % tasks / plan.parts(),
                    sums.data<T>() + i * plan.sums_size(), dy, x)(i % plan.parts());
  });
  const int64_t row = s.cells() * s.ci();
  parallel_for(s.o, grain_for(row * plan.parts()), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j)
      Join<T>(plan, sums.data<T>() + j / plan.co * size)(j % plan.co, dw + j * row);
  });
}

template void direct_backward_weight(const ConvShape&, float*, const float*, const float*);
template void direct_backward_weight(const ConvShape&, double*, const double*, const double*);

LEVEL_END
