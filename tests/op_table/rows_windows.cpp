// Rows of operations whose results see a window of an image: pooling, transposed convolution,
// interpolation.
#include <algorithm>

#include "tensor/ops/conv.h"
#include "tensor/ops/interpolate.h"
#include "tensor/ops/pool.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

// --- pooling ---

// Calls window(values inside the image, number of pixels that count) for every element of the
// result, in order.
template <class F>
void for_windows(const Array& x, const Shape& y, const PoolOptions& o, F&& window) {
  const int64_t h = x.shape[1], w = x.shape[2];
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t i = 0; i < y[1]; ++i)
      for (int64_t j = 0; j < y[2]; ++j)
        for (int64_t c = 0; c < y[3]; ++c) {
          Values inside;
          int64_t padded = 0;
          for (int64_t a = 0; a < o.kernel.height; ++a)
            for (int64_t b = 0; b < o.kernel.width; ++b) {
              const int64_t row = i * o.stride.height - o.padding.top + a * o.dilation.height,
                            column = j * o.stride.width - o.padding.left + b * o.dilation.width;
              padded += row < h + o.padding.bottom && column < w + o.padding.right;
              if (row < 0 || row >= h || column < 0 || column >= w) continue;
              inside.push_back(x[((n * h + row) * w + column) * y[3] + c]);
            }
          window(inside, o.count_include_pad ? padded : static_cast<int64_t>(inside.size()));
        }
}

Row max_row(const std::string& name, const Shape& x, const Shape& y, const PoolOptions& options) {
  return {.name = name,
          .op = [=](const Tensors& t) { return max_pool2d(t[0], options); },
          .cases = {{x}},
          .reference =
              [=](const Arrays& a) {
                Values result;
                for_windows(a[0], y, options, [&](const Values& inside, int64_t) {
                  result.push_back(*std::ranges::max_element(inside));
                });
                return result;
              },
          .inputs = {{.domain = Domain::distinct}}};
}

Row avg_row(const std::string& name, const Shape& x, const Shape& y, const PoolOptions& options) {
  return {.name = name,
          .op = [=](const Tensors& t) { return avg_pool2d(t[0], options); },
          .cases = {{x}},
          .reference =
              [=](const Arrays& a) {
                Values result;
                for_windows(a[0], y, options, [&](const Values& inside, int64_t count) {
                  double sum = 0;
                  for (const double value : inside) sum += value;
                  result.push_back(sum / static_cast<double>(count));
                });
                return result;
              },
          .terms = [=](const Shapes&) { return options.kernel.height * options.kernel.width; }};
}

const Register rows_pooling({
    max_row("max_pool2d", {2, 4, 6, 3}, {2, 2, 3, 3}, {}),
    max_row("max_pool2d_overlap", {1, 5, 7, 2}, {1, 3, 4, 2},
            {.kernel = 3, .stride = 2, .padding = 1}),
    max_row("max_pool2d_ceil", {1, 5, 6, 2}, {1, 3, 3, 2},
            {.kernel = 2, .stride = 2, .ceil_mode = true}),
    max_row("max_pool2d_per_axis", {1, 6, 7, 2}, {1, 3, 7, 2},
            {.kernel = {3, 2}, .stride = {2, 1}, .padding = {0, 1, 1, 0}}),
    max_row("max_pool2d_dilation", {2, 6, 7, 3}, {2, 4, 3, 3},
            {.kernel = {2, 3}, .stride = {1, 2}, .padding = {0, 0, 1, 1}, .dilation = {2, 2}}),
    max_row(
        "max_pool2d_dilation_ceil", {1, 6, 5, 2}, {1, 3, 2, 2},
        {.kernel = 2, .stride = {2, 3}, .padding = {1, 0, 0, 0}, .dilation = 3, .ceil_mode = true}),
    avg_row("avg_pool2d", {2, 4, 6, 3}, {2, 2, 3, 3}, {}),
    avg_row("avg_pool2d_per_axis", {1, 6, 7, 2}, {1, 3, 7, 2},
            {.kernel = {3, 2}, .stride = {2, 1}, .padding = {0, 1, 1, 0}}),
    avg_row("avg_pool2d_same", {1, 5, 6, 3}, {1, 3, 3, 3},
            {.kernel = 3, .stride = 2, .padding = {1, 1, 0, 1}, .count_include_pad = false}),
    avg_row("avg_pool2d_overlap", {1, 5, 7, 2}, {1, 3, 4, 2},
            {.kernel = 3, .stride = 2, .padding = 1}),
    avg_row("avg_pool2d_without_padding", {1, 5, 7, 2}, {1, 3, 4, 2},
            {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}),
    avg_row("avg_pool2d_ceil", {1, 6, 5, 2}, {1, 4, 3, 2},
            {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}),
    {.name = "global_avg_pool",
     .op = [](const Tensors& x) { return global_avg_pool(x[0]); },
     .cases = {{{2, 3, 5, 4}}, {{1, 1, 1, 1}}, {{3, 7, 1, 17}}},
     .reference =
         [](const Arrays& a) {
           const Shape& s = a[0].shape;
           Values result(static_cast<size_t>(s[0] * s[3]));
           for (int64_t i = 0; i < a[0].size(); ++i)
             result[static_cast<size_t>(i / (s[1] * s[2] * s[3]) * s[3] + i % s[3])] +=
                 a[0][i] / static_cast<double>(s[1] * s[2]);
           return result;
         },
     .terms = [](const Shapes& s) { return s[0][1] * s[0][2]; }},
});

// --- transposed convolution ---

// Each pixel of x adds its value times the filter to the window it stands for; what falls into the
// padding is dropped.
Values scattered_windows(const Arrays& a, const Shape& y, const ConvTransposeOptions& o) {
  const Shape &x = a[0].shape, &w = a[1].shape;
  const int64_t ci = x[3] / o.groups, co = w[3];
  Values result;
  for (int64_t i = 0; i < y.numel(); ++i) result.push_back(a.size() > 2 ? a[2][i % y[3]] : 0);
  for (int64_t i = 0; i < a[0].size(); ++i)
    for (int64_t k = 0; k < w.inner(0); ++k) {
      const std::vector<int64_t> at = position_of(x, i), tap = position_of({w[1], w[2], w[3]}, k);
      const int64_t row = at[1] * o.stride.height - o.padding.top + tap[0] * o.dilation.height,
                    column = at[2] * o.stride.width - o.padding.left + tap[1] * o.dilation.width;
      if (row < 0 || row >= y[1] || column < 0 || column >= y[2]) continue;
      const int64_t channel = at[3] / ci * co + tap[2];
      result[static_cast<size_t>(((at[0] * y[1] + row) * y[2] + column) * y[3] + channel)] +=
          a[0][i] * a[1][at[3] * w.inner(0) + k];
    }
  return result;
}

Row transposed_row(const std::string& name, const Shapes& inputs, const Shape& y,
                   const ConvTransposeOptions& o) {
  return {.name = "conv_transpose2d" + name,
          .op =
              [=](const Tensors& t) {
                return conv_transpose2d(t[0], t[1], t.size() > 2 ? t[2] : Tensor{}, o);
              },
          .cases = {inputs},
          .reference = [=](const Arrays& a) { return scattered_windows(a, y, o); },
          .terms = [](const Shapes& s) { return s[1].numel() + 1; }};
}

const Register rows_transposed({
    transposed_row("", {{2, 3, 4, 2}, {2, 3, 3, 3}}, {2, 5, 6, 3}, {}),
    transposed_row(" 2x2", {{1, 3, 2, 3}, {3, 2, 2, 2}, {2}}, {1, 6, 4, 2}, {.stride = 2}),
    transposed_row(" with output padding", {{1, 3, 4, 2}, {2, 3, 3, 2}, {2}}, {1, 6, 8, 2},
                   {.stride = 2, .padding = 1, .output_padding = 1}),
    transposed_row(" padded beyond its windows", {{1, 3, 2, 2}, {2, 2, 3, 2}}, {1, 9, 7, 2},
                   {.stride = {3, 1}, .output_padding = {1, 1}, .dilation = {1, 2}}),
    transposed_row(" per axis", {{1, 4, 3, 4}, {4, 2, 3, 2}, {4}}, {1, 6, 8, 4},
                   {.stride = {1, 3},
                    .padding = {1, 0, 0, 3},
                    .output_padding = {1, 2},
                    .dilation = {2, 1},
                    .groups = 2}),
});

// --- interpolation ---

// The weight of input `at`, any number of pixels outside the image too, in output `i`.
using Weight = std::function<double(int64_t i, int64_t at)>;

double keys(double x, double a) {
  x = std::abs(x);
  if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
  return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

Weight weight_of(int64_t in, int64_t out, const InterpolateOptions& o) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const bool cubic = o.mode == Interpolation::bicubic;
  if (o.mode == Interpolation::nearest)
    return [=](int64_t i, int64_t at) { return at == i * in / out ? 1.0 : 0.0; };
  const double stretch = o.antialias ? std::max(scale, 1.0) : 1.0, a = o.antialias ? -0.5 : -0.75;
  return [=](int64_t i, int64_t at) {
    const auto value = [&](int64_t pixel) {
      if (o.antialias && (pixel < 0 || pixel >= in)) return 0.0;
      const double x =
          (static_cast<double>(pixel) + 0.5 - (static_cast<double>(i) + 0.5) * scale) / stretch;
      return cubic ? keys(x, a) : std::max(0.0, 1 - std::abs(x));
    };
    double total = 0;
    for (int64_t pixel = -4; pixel < in + 4; ++pixel) total += value(pixel);
    return value(at) / total;
  };
}

Reference interpolated(int64_t height, int64_t width, const InterpolateOptions& o) {
  return [=](const Arrays& a) {
    const Shape& s = a[0].shape;
    const Weight rows = weight_of(s[1], height, o), columns = weight_of(s[2], width, o);
    Values y;
    for (int64_t k = 0; k < s[0] * height * width * s[3]; ++k) {
      const std::vector<int64_t> at = position_of({s[0], height, width, s[3]}, k);
      double sum = 0;
      for (int64_t i = -4; i < s[1] + 4; ++i)
        for (int64_t j = -4; j < s[2] + 4; ++j) {
          const int64_t row = std::clamp<int64_t>(i, 0, s[1] - 1),
                        column = std::clamp<int64_t>(j, 0, s[2] - 1);
          sum += rows(at[1], i) * columns(at[2], j) *
                 a[0][((at[0] * s[1] + row) * s[2] + column) * s[3] + at[3]];
        }
      y.push_back(sum);
    }
    return y;
  };
}

Row interpolate_row(const char* name, int64_t height, int64_t width, const InterpolateOptions& o) {
  return {.name = std::string("interpolate ") + name,
          .op =
              [=](const Tensors& x) {
                return interpolate(x[0], {height, width}, o);
              },
          .cases = {{{2, 4, 5, 3}}, {{1, 7, 9, 2}}, {{1, 1, 2, 1}}},
          .reference = interpolated(height, width, o),
          .terms = [](const Shapes& s) { return s[0][1] * s[0][2]; }};
}

const Register rows_interpolation({
    interpolate_row("nearest", 6, 3, {.mode = Interpolation::nearest}),
    interpolate_row("bilinear", 6, 3, {}),
    interpolate_row("bilinear, antialiased", 3, 7, {.antialias = true}),
    interpolate_row("bicubic", 9, 4, {.mode = Interpolation::bicubic}),
    interpolate_row("bicubic, antialiased", 3, 6,
                    {.mode = Interpolation::bicubic, .antialias = true}),
});

}  // namespace
}  // namespace passband::op_table
