// Rows of the linear operations: matrix products and convolutions.
#include <cmath>
#include <numbers>

#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tests/naive.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

// --- matrix products ---

Row matmul_row(const std::string& name, const MatmulOptions& options, std::vector<Shapes> cases) {
  const auto inner = [=](const Shapes& s) { return s[0][options.transpose_a ? -2 : -1]; };
  return {.name = name,
          .op = [=](const Tensors& x) { return matmul(x[0], x[1], options); },
          .cases = std::move(cases),
          .reference =
              [=](const Arrays& x) {
                const Shape &a = x[0].shape, &b = x[1].shape;
                const int64_t k = inner({a}), n = b[options.transpose_b ? -2 : -1],
                              batch = a.outer(-2);
                Values right;  // one matrix per matrix of a
                for (int64_t i = 0; i < (b.rank() == 2 ? batch : 1); ++i)
                  right.insert(right.end(), x[1].values.begin(), x[1].values.end());
                return naive::matmul(x[0].values, right, batch, a[options.transpose_a ? -1 : -2], n,
                                     k, options.transpose_a, options.transpose_b);
              },
          .terms = inner};
}

Row linear_row(const std::string& name, bool biased, std::vector<Shapes> cases) {
  return {.name = name,
          .op = [=](const Tensors& x) { return linear(x[0], x[1], biased ? x[2] : Tensor{}); },
          .cases = std::move(cases),
          .reference =
              [=](const Arrays& x) {
                const int64_t out = x[1].shape[0];
                const int64_t rows = x[0].shape.outer(-1), in = x[0].shape[-1];
                Values y = naive::matmul(x[0].values, x[1].values, 1, rows, out, in, false, true);
                for (size_t i = 0; biased && i < y.size(); ++i)
                  y[i] += x[2][static_cast<int64_t>(i) % out];
                return y;
              },
          .terms = [](const Shapes& s) { return s[1][1] + 1; }};
}

const Register rows_products({
    matmul_row("matmul", {},
               {{{5, 7}, {7, 3}}, {{1, 1}, {1, 1}}, {{1, 13}, {13, 1}}, {{33, 17}, {17, 31}}}),
    matmul_row("matmul_ta", {.transpose_a = true}, {{{7, 5}, {7, 3}}, {{2, 4, 3}, {2, 4, 5}}}),
    matmul_row("matmul_tb", {.transpose_b = true}, {{{5, 7}, {3, 7}}, {{2, 3, 4}, {2, 5, 4}}}),
    matmul_row("matmul_ta_tb", {.transpose_a = true, .transpose_b = true},
               {{{7, 5}, {3, 7}}, {{3, 4, 1}, {3, 2, 4}}}),
    matmul_row("matmul_batched", {}, {{{3, 4, 5}, {3, 5, 2}}, {{2, 3, 1, 5}, {2, 3, 5, 2}}}),
    matmul_row("matmul_rows", {}, {{{3, 4, 5}, {5, 2}}, {{2, 1, 3, 2}, {2, 7}}}),
    matmul_row("matmul_rows_ta", {.transpose_a = true}, {{{3, 5, 4}, {5, 2}}}),
    matmul_row("matmul_rows_tb", {.transpose_b = true}, {{{3, 4, 5}, {2, 5}}}),
    linear_row("linear", true,
               {{{4, 5}, {3, 5}, {3}},
                {{2, 3, 5}, {7, 5}, {7}},
                {{1, 1}, {1, 1}, {1}},
                {{5}, {2, 5}, {2}}}),
    {.name = "linear_residual",
     .op = [](const Tensors& x) { return linear(x[0], x[1], {}, x[2]); },
     .cases = {{{4, 5}, {3, 5}, {4, 3}}, {{2, 3, 5}, {7, 5}, {2, 3, 7}}},
     .reference =
         [](const Arrays& x) {
           const int64_t rows = x[0].shape.outer(-1), in = x[0].shape[-1], out = x[1].shape[0];
           Values y = naive::matmul(x[0].values, x[1].values, 1, rows, out, in, false, true);
           for (size_t i = 0; i < y.size(); ++i) y[i] += x[2].values[i];
           return y;
         },
     .terms = [](const Shapes& s) { return s[1][1] + 1; }},
    linear_row("linear_without_bias", false, {{{2, 3, 5}, {7, 5}}}),
});

// (..., 3, 4) times (..., 4, 2) with leading dimensions that broadcast to those of `shape`.
Values stretched_products(const Shape& shape, const Arrays& x) {
  const auto matrix = [](const Array& from, int64_t at) {
    const int64_t size = from.shape[-2] * from.shape[-1];
    return Values(from.values.begin() + at * size, from.values.begin() + (at + 1) * size);
  };
  Values y;
  for (int64_t i = 0; i < shape.numel(); ++i) {
    int64_t at[2];
    for (size_t k = 0; k < 2; ++k) {
      Shape leading;
      for (int d = 0; d < x[k].shape.rank() - 2; ++d) leading.push_back(x[k].shape[d]);
      at[k] = broadcast_index(shape, leading, i);
    }
    for (const double value :
         naive::matmul(matrix(x[0], at[0]), matrix(x[1], at[1]), 1, 3, 2, 4, false, false))
      y.push_back(value);
  }
  return y;
}

Row stretched_row(const std::string& name, const Shape& leading, std::vector<Shapes> cases) {
  return {.name = name,
          .op = [](const Tensors& x) { return matmul(x[0], x[1]); },
          .cases = std::move(cases),
          .reference = [=](const Arrays& x) { return stretched_products(leading, x); },
          .terms = [](const Shapes&) { return int64_t{4 * 5}; }};
}

const Register rows_stretched_products({
    stretched_row("matmul, b stretched", {2, 5},
                  {{{2, 5, 3, 4}, {5, 4, 2}}, {{2, 5, 3, 4}, {1, 1, 4, 2}}}),
    stretched_row("matmul, a stretched", {2, 5},
                  {{{3, 4}, {2, 5, 4, 2}}, {{2, 1, 3, 4}, {2, 5, 4, 2}}}),
    stretched_row("matmul, both stretched", {2, 5},
                  {{{2, 1, 3, 4}, {1, 5, 4, 2}}, {{5, 3, 4}, {2, 1, 4, 2}}}),
});

// --- the MLP ---

Row mlp_row(const std::string& name, GeluForm form) {
  return {.name = name,
          .op = [=](const Tensors& x) { return mlp(x[0], x[1], x[2], x[3], x[4], x[5], form); },
          .cases = {{{4, 5}, {7, 5}, {7}, {3, 7}, {3}, {4, 3}},
                    {{2, 3, 8}, {16, 8}, {16}, {8, 16}, {8}, {2, 3, 8}},
                    {{1, 1}, {1, 1}, {1}, {1, 1}, {1}, {1, 1}},
                    {{5}, {6, 5}, {6}, {2, 6}, {2}, {2}}},
          .reference =
              [=](const Arrays& x) {
                const int64_t rows = x[0].shape.outer(-1), in = x[0].shape[-1];
                const int64_t hidden = x[1].shape[0], out = x[3].shape[0];
                Values h =
                    naive::matmul(x[0].values, x[1].values, 1, rows, hidden, in, false, true);
                for (size_t i = 0; i < h.size(); ++i) {
                  const double v = h[i] + x[2][static_cast<int64_t>(i) % hidden];
                  h[i] = form == GeluForm::erf
                             ? v * 0.5 * std::erfc(-v / std::numbers::sqrt2)
                             : v / (1 + std::exp(-2 * std::sqrt(2 / std::numbers::pi) *
                                                 (v + 0.044715 * v * v * v)));
                }
                Values y = naive::matmul(h, x[3].values, 1, rows, out, hidden, false, true);
                for (size_t i = 0; i < y.size(); ++i)
                  y[i] += x[4][static_cast<int64_t>(i) % out] + x[5].values[i];
                return y;
              },
          .terms = [](const Shapes& s) { return s[1][0] + s[1][1] + 2; }};
}

const Register rows_mlp({mlp_row("mlp", GeluForm::erf), mlp_row("mlp, tanh", GeluForm::tanh)});

// --- convolutions ---

struct Layer {
  const char* name;
  Shape x, y, w;
  ConvOptions options;
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> list = {
      {"3x3", {2, 4, 3, 2}, {2, 4, 3, 3}, {3, 3, 3, 2}, {.padding = 1}},
      {"stride", {1, 5, 6, 2}, {1, 3, 3, 3}, {3, 3, 3, 2}, {.stride = 2, .padding = 1}},
      {"dilation", {1, 6, 5, 2}, {1, 4, 3, 2}, {2, 3, 3, 2}, {.padding = 1, .dilation = 2}},
      {"even_kernel", {1, 4, 5, 2}, {1, 5, 4, 3}, {3, 2, 4, 2}, {.padding = 1}},
      {"1x1", {2, 3, 3, 5}, {2, 3, 3, 4}, {4, 1, 1, 5}, {}},
      {"1x1_stride", {2, 5, 4, 3}, {2, 3, 2, 4}, {4, 1, 1, 3}, {.stride = 2}},
      {"groups", {1, 3, 4, 6}, {1, 3, 4, 4}, {4, 3, 3, 3}, {.padding = 1, .groups = 2}},
      {"depthwise", {1, 4, 4, 5}, {1, 4, 4, 5}, {5, 3, 3, 1}, {.padding = 1, .groups = 5}},
      {"depthwise_stride", {2, 5, 5, 3}, {2, 2, 2, 6}, {6, 3, 3, 1}, {.stride = 2, .groups = 3}},
      {"per_axis",
       {1, 7, 6, 2},
       {1, 4, 4, 3},
       {3, 2, 3, 2},
       {.stride = {2, 1}, .padding = {1, 1, 0, 2}, .dilation = {2, 2}}},
      {"one_sided", {2, 4, 3, 2}, {2, 4, 3, 2}, {2, 2, 3, 2}, {.padding = {1, 0, 2, 0}}},
      {"depthwise_per_axis",
       {1, 5, 6, 3},
       {1, 3, 4, 3},
       {3, 2, 3, 1},
       {.stride = {2, 1}, .padding = {0, 2, 0, 2}, .dilation = {1, 2}, .groups = 3}},
  };
  return list;
}

// The three maps of a convolution: which of (x, y, w) is the result, which are the inputs.
struct ConvMap {
  const char* prefix;
  std::function<Tensor(const Layer&, const Tensors&)> op;
  int result, first, second;  // 0 = x, 1 = y, 2 = w
};

Row conv_row(const ConvMap& map, const Layer& layer) {
  const Shape shapes[] = {layer.x, layer.y, layer.w};
  const int64_t products = layer.y.numel() * layer.w.numel() / layer.w[0];
  return {.name = std::string(map.prefix) + "_" + layer.name,
          .op = [=](const Tensors& t) { return map.op(layer, t); },
          .cases = {{shapes[map.first], shapes[map.second]}},
          .reference =
              [=](const Arrays& a) {
                Values result(static_cast<size_t>(shapes[map.result].numel()));
                const auto add = [&](int64_t y, int64_t x, int64_t w) {
                  const int64_t at[] = {x, y, w};
                  result[static_cast<size_t>(at[map.result])] +=
                      a[0][at[map.first]] * a[1][at[map.second]];
                };
                naive::for_conv_products(layer.x, layer.y, layer.w, layer.options, add);
                return result;
              },
          .terms = [=](const Shapes&) { return products / shapes[map.result].numel() + 1; }};
}

std::vector<Row> conv_rows() {
  const ConvMap maps[] = {
      {"conv2d", [](const Layer& l, const Tensors& t) { return conv2d(t[0], t[1], {}, l.options); },
       1, 0, 2},
      {"conv2d_input_gradient",
       [](const Layer& l, const Tensors& t) {
         return conv2d_input_gradient(t[0], t[1], l.x, l.options);
       },
       0, 1, 2},
      {"conv2d_weight_gradient",
       [](const Layer& l, const Tensors& t) {
         return conv2d_weight_gradient(t[0], t[1], l.w, l.options);
       },
       2, 1, 0},
  };
  std::vector<Row> rows;
  for (const ConvMap& map : maps)
    for (const Layer& layer : layers()) rows.push_back(conv_row(map, layer));
  Row biased = conv_row(maps[0], layers()[1]);
  biased.name = "conv2d_bias";
  biased.cases[0].push_back({layers()[1].w[0]});
  biased.op = [](const Tensors& t) { return conv2d(t[0], t[1], t[2], layers()[1].options); };
  biased.reference = [plain = biased.reference](const Arrays& a) {
    Values y = plain(a);
    for (size_t i = 0; i < y.size(); ++i) y[i] += a[2][static_cast<int64_t>(i) % a[2].size()];
    return y;
  };
  rows.push_back(std::move(biased));
  return rows;
}

const Register rows_convolutions(conv_rows());

}  // namespace
}  // namespace passband::op_table
