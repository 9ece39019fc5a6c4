// Convolution on the GPU, as a matrix product whose operands are never stored: their elements are
// looked up in the image (implicit GEMM; Chetlur et al., "cuDNN: efficient primitives for deep
// learning", 2014, section 3).
//
//     forward          y  (pixels, O)        = patches of x (pixels, cells I) * weight^T
//     input gradient   dx (pixels, I)        = patches of dy (pixels, cells O) * weight (cells O,
//     I) weight gradient  dw (O, cells I)        = dy^T * patches of x (pixels, cells I)
//
// With a stride s the input gradient is s^2 products (one stride times the other): pixels of dx
// whose row and column leave the same remainder see the same cells, and only those that meet an
// output. So nothing is multiplied by inserted zeros.
//
// 1x1 kernels with stride 1 are plain products (matmul_cuda.cu); depthwise ones have kernels of
// their own. The other source of kernels is cuDNN.
//
// Bound, in bf16 on an H200 (790 TFLOP/s, 4.3 TB/s: 184 FLOP per byte). A 3x3 kernel on C = O = 64
// channels does 73,728 FLOP for 256 bytes of a pixel, 288 per byte: the tensor cores, as with more
// channels. A 1x1 kernel from 64 to 256 channels does 32,768 FLOP for 640 bytes, 51 per byte:
// memory. Patches overlap, so of their elements only the first cell comes from memory; the other kh
// kw - 1 come from the second-level cache, since neighbouring blocks work on neighbouring pixels.
// Looking an element up costs about 15 integer instructions for each 16 bytes, divisions being
// multiplications; a warp of a 128 x 128 tile spends some 200 of them in a stage, beside 128 mma
// of 6.5 cycles. Considered: storing the patches (9 times the image, written and read), cells
// outermost with one tile of the image in shared memory for all of them (saves cache traffic, but
// ties the tile to the image's shape).
#include <numeric>

#include "tensor/cuda/kernel_choice.h"
#include "tensor/cuda/product.cuh"
#include "tensor/ops/conv_depthwise.cuh"
#include "tensor/ops/conv_geometry.h"
#include "tensor/ops/conv_kernels.h"
#include "tensor/ops/library_products.h"
#include "tensor/ops/matmul_kernels.h"

namespace passband::cuda {
namespace {

int narrow(int64_t number) {
  CHECK(number <= INT32_MAX, "conv2d: ", number,
        " elements in one dimension are more than a kernel counts");
  return static_cast<int>(number);
}

// Throws where kernels do not count the elements from the first cell of a patch to its last, so
// many rows and columns of pixels away.
void check_span(int64_t rows, int64_t columns, int64_t row_width, int64_t pixel_stride) {
  narrow((rows * row_width + columns + 1) * pixel_stride);
}

// What the forward pass and the weight gradient see of x.
template <class T, Major major>
Operand<Patches<T>, major> patches(const ConvGeometry& g, const Tensor& x) {
  check_span((g.kh - 1) * g.rows.dilation, (g.kw - 1) * g.columns.dilation, g.w, g.c);
  Operand<Patches<T>, major> operand;
  operand.data = x.data<T>();
  operand.pixel_stride = g.c;
  operand.height = narrow(g.h);
  operand.row_width = narrow(g.w);
  operand.lines = narrow(g.pixels());
  operand.width = narrow(g.patch());
  operand.stride_y = narrow(g.rows.stride);
  operand.stride_x = narrow(g.columns.stride);
  operand.step_y = narrow(g.rows.dilation);
  operand.step_x = narrow(g.columns.dilation);
  operand.origin_y = -narrow(g.rows.before);
  operand.origin_x = -narrow(g.columns.before);
  operand.grid_rows = Divisor(g.ho);
  operand.grid_columns = Divisor(g.wo);
  operand.channels = Divisor(g.ci);
  operand.cell_columns = Divisor(g.kw);
  operand.batch_stride = g.ci;
  operand.aligned = lines_are_aligned(operand.data, g.ci, g.c);
  return operand;
}

// The filters as rows of (cells, I), or dw.
template <class T> Operand<Matrix<T>, Major::k> filters(const ConvGeometry& g, const Tensor& w) {
  Operand<Matrix<T>, Major::k> operand;
  operand.data = w.data<T>();
  operand.stride = g.patch();
  operand.lines = narrow(g.co);
  operand.width = narrow(g.patch());
  operand.batch_stride = g.co * g.patch();
  operand.aligned = lines_are_aligned(operand.data, g.patch(), g.patch());
  return operand;
}

template <class T> void forward_product(const ConvGeometry& g, Tensor y, const Tensor& x,
                                        const Tensor& w, const Tensor& bias) {
  ProductOutput<T> out;
  out.data = y.data<T>();
  out.stride = g.o;
  out.batch_stride = out.bias_stride = g.co;
  out.bias = bias.defined() ? bias.data<T>() : nullptr;
  out.aligned = lines_are_aligned(out.data, g.co, g.o) && is_pack_aligned<kPackWidth<T>>(out.bias);
  run_product(patches<T, Major::k>(g, x), filters<T>(g, w), out,
              {g.pixels(), g.co, g.patch(), g.groups}, y.device());
}

template <class T> void weight_gradient_product(const ConvGeometry& g, Tensor dw, Tensor* parts,
                                                const Tensor& dy, const Tensor& x) {
  Operand<Matrix<T>, Major::side> gradient;
  gradient.data = dy.data<T>();
  gradient.stride = g.o;
  gradient.lines = narrow(g.pixels());
  gradient.width = narrow(g.co);
  gradient.batch_stride = g.co;
  gradient.aligned = lines_are_aligned(gradient.data, g.co, g.o);
  ProductOutput<T> out;
  out.data = dw.data<T>();
  out.stride = g.patch();
  out.batch_stride = g.co * g.patch();
  out.aligned = lines_are_aligned(out.data, g.patch(), g.patch());
  run_product(gradient, patches<T, Major::side>(g, x), out,
              {g.co, g.patch(), g.pixels(), g.groups, parts}, dw.device());
}

// One side of a phase of the input gradient: the pixels  phase, phase + stride, ...  and the cells
// that reach them: row r of dx is touched by cell i of output row (r + padding - i dilation) /
// stride, where that is whole.
struct Phase {
  int64_t pixels = 0;                      // how many
  int64_t first = 0, step = 1, cells = 0;  // of the kernel
  // output row of the first pixel and cell; output rows from cell to cell
  int64_t origin = 0, reach = 0;

  Phase(int64_t phase, int64_t side, int64_t kernel, const WindowAxis& axis) {
    const auto [stride, dilation, before, after] = axis;
    pixels = (side - phase + stride - 1) / stride;
    while (first < kernel && (phase + before - first * dilation) % stride != 0) ++first;
    if (first >= kernel) return;
    step = stride / std::gcd(stride, dilation);
    cells = (kernel - 1 - first) / step + 1;
    origin = (phase + before - first * dilation) / stride;
    reach = step * dilation / stride;
  }
};

template <class T>
Operand<Patches<T>, Major::k> gradient_patches(const ConvGeometry& g, const Tensor& dy,
                                               const Phase& rows, const Phase& columns) {
  check_span(rows.cells * rows.reach, columns.cells * columns.reach, g.wo, g.o);
  Operand<Patches<T>, Major::k> operand;
  operand.data = dy.data<T>();
  operand.pixel_stride = g.o;
  operand.height = narrow(g.ho);
  operand.row_width = narrow(g.wo);
  operand.lines = narrow(g.n * rows.pixels * columns.pixels);
  operand.width = narrow(rows.cells * columns.cells * g.co);
  operand.step_y = -narrow(rows.reach);
  operand.step_x = -narrow(columns.reach);
  operand.origin_y = narrow(rows.origin);
  operand.origin_x = narrow(columns.origin);
  operand.grid_rows = Divisor(rows.pixels);
  operand.grid_columns = Divisor(columns.pixels);
  operand.channels = Divisor(g.co);
  operand.cell_columns = Divisor(std::max<int64_t>(columns.cells, 1));
  operand.batch_stride = g.co;
  operand.aligned = lines_are_aligned(operand.data, g.co, g.o);
  return operand;
}

template <class T>
Operand<WeightCells<T>, Major::side> weight_cells(const ConvGeometry& g, const Tensor& w,
                                                  const Phase& rows, const Phase& columns) {
  Operand<WeightCells<T>, Major::side> operand;
  operand.data = w.data<T>() + (rows.first * g.kw + columns.first) * g.ci;
  operand.filter_stride = g.patch();
  operand.row_stride = rows.step * g.kw * g.ci;
  operand.column_stride = columns.step * g.ci;
  operand.lines = narrow(rows.cells * columns.cells * g.co);
  operand.width = narrow(g.ci);
  operand.outputs = Divisor(g.co);
  operand.cell_columns = Divisor(std::max<int64_t>(columns.cells, 1));
  operand.batch_stride = g.co * g.patch();
  operand.aligned = lines_are_aligned(operand.data, g.ci, g.ci);
  return operand;
}

template <class T> void input_gradient_phase(const ConvGeometry& g, Tensor dx, const Tensor& dy,
                                             const Tensor& w, int64_t row, int64_t column) {
  const Phase rows(row, g.h, g.kh, g.rows), columns(column, g.w, g.kw, g.columns);
  const int64_t pixels = g.n * rows.pixels * columns.pixels;
  if (pixels == 0) return;
  ProductOutput<T> out;
  out.data = dx.data<T>() + (row * g.w + column) * g.c;
  out.stride = g.c;
  out.batch_stride = g.ci;
  out.aligned = lines_are_aligned(out.data, g.ci, g.c);
  out.scattered = g.strided();
  out.grid_rows = Divisor(rows.pixels);
  out.grid_columns = Divisor(columns.pixels);
  out.image_pixels = g.h * g.w;
  out.row_pixels = g.rows.stride * g.w;
  out.column_pixels = g.columns.stride;
  run_product(gradient_patches<T>(g, dy, rows, columns), weight_cells<T>(g, w, rows, columns), out,
              {pixels, g.ci, rows.cells * columns.cells * g.co, g.groups}, dx.device());
}

void native_forward(const ConvGeometry& g, Tensor y, const Tensor& x, const Tensor& w,
                    const Tensor& bias) {
  if (g.trivial())
    return matmul_forward(y, x, w, {.bias = bias},
                          {.m = g.pixels(), .n = g.co, .k = g.ci, .transpose_b = true});
  if (is_depthwise(g, x.dtype()))
    return dispatch_f32_bf16(x.dtype(), "conv2d",
                             [&]<class T>() { run_depthwise<T, false>(g, y, x, w, bias); });
  dispatch_floating(x.dtype(), "conv2d", [&]<class T>() { forward_product<T>(g, y, x, w, bias); });
}

void native_backward_input(const ConvGeometry& g, Tensor dx, const Tensor& dy, const Tensor& w) {
  if (g.trivial()) return matmul_forward(dx, dy, w, {}, {.m = g.pixels(), .n = g.ci, .k = g.co});
  if (is_depthwise(g, dy.dtype()))
    return dispatch_f32_bf16(dy.dtype(), "conv2d",
                             [&]<class T>() { run_depthwise<T, true>(g, dx, dy, w, {}); });
  dispatch_floating(dy.dtype(), "conv2d_input_gradient", [&]<class T>() {
    for (int64_t row = 0; row < g.rows.stride; ++row)
      for (int64_t column = 0; column < g.columns.stride; ++column)
        input_gradient_phase<T>(g, dx, dy, w, row, column);
  });
}

void native_backward_weight(const ConvGeometry& g, Tensor dw, Tensor* parts, const Tensor& dy,
                            const Tensor& x) {
  if (g.trivial())
    return matmul_forward(dw, dy, x, {.parts = parts},
                          {.m = g.co, .n = g.ci, .k = g.pixels(), .transpose_a = true});
  if (is_depthwise(g, dy.dtype()))
    return dispatch_f32_bf16(dy.dtype(), "conv2d",
                             [&]<class T>() { run_depthwise_weight<T>(g, dw, dy, x); });
  dispatch_floating(dy.dtype(), "conv2d_weight_gradient",
                    [&]<class T>() { weight_gradient_product<T>(g, dw, parts, dy, x); });
}

template <class Native, class Library> void run_chosen(ConvPass pass, const ConvGeometry& g,
                                                       DType dtype, bool bias, Native&& native,
                                                       Library&& library) {
  static KernelChoice choice;
  const auto numbers = g.numbers();
  KernelChoice::Shape shape(numbers.begin(), numbers.end());
  shape.insert(shape.end(),
               {static_cast<int64_t>(pass), static_cast<int64_t>(dtype), bias, tf32_allowed()});
  choice.run(conv_kernels(), shape, native, [&] { return g.n > 0 && library(); });
}

}  // namespace

void conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                    const ConvOptions& options) {
  if (y.numel() == 0) return;
  const ConvGeometry g(x.shape(), y.shape(), w.shape(), options);
  run_chosen(
      ConvPass::forward, g, x.dtype(), bias.defined(), [&] { native_forward(g, y, x, w, bias); },
      [&] { return library_conv2d_forward(y, x, w, bias, g); });
}

void conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                           const ConvOptions& options) {
  if (dx.numel() == 0) return;
  const ConvGeometry g(dx.shape(), dy.shape(), w.shape(), options);
  run_chosen(
      ConvPass::backward_input, g, dy.dtype(), false, [&] { native_backward_input(g, dx, dy, w); },
      [&] { return library_conv2d_backward_input(dx, dy, w, g); });
}

void conv2d_backward_weight(Tensor dw, Tensor* parts, const Tensor& dy, const Tensor& x,
                            const ConvOptions& options) {
  if (dw.numel() == 0) return;
  const ConvGeometry g(x.shape(), dy.shape(), dw.shape(), options);
  run_chosen(
      ConvPass::backward_weight, g, dy.dtype(), false,
      [&] { native_backward_weight(g, dw, parts, dy, x); },
      [&] { return library_conv2d_backward_weight(dw, dy, x, g); });
}

}  // namespace passband::cuda
