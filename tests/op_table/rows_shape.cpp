// Rows of reductions and of operations that move elements.
#include <algorithm>
#include <functional>

#include "tensor/ops/gather.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

// Sum or mean over `dims`: every element goes to the place that its kept positions number.
Reference reduction(std::vector<int> dims, bool is_mean) {
  return [dims = std::move(dims), is_mean](const Arrays& x) {
    const Shape& shape = x[0].shape;
    Shape kept = shape;
    for (const int d : dims) kept[d] = 1;
    if (dims.empty())
      for (int d = 0; d < shape.rank(); ++d) kept[d] = 1;
    Values y = scattered_sum(x[0], kept.numel(), [&](const std::vector<int64_t>& at) {
      int64_t index = 0;
      for (int d = 0; d < shape.rank(); ++d)
        index = index * kept[d] + (kept[d] == 1 ? 0 : at[static_cast<size_t>(d)]);
      return index;
    });
    const double count = static_cast<double>(shape.numel()) / static_cast<double>(kept.numel());
    for (double& value : y) value /= is_mean ? count : 1;
    return y;
  };
}

int64_t numel(const Shapes& shapes) { return shapes[0].numel(); }

Row reduce_row(const char* name, std::vector<int> dims, std::vector<Shapes> cases,
               bool is_mean = false, bool keepdim = false) {
  return {.name = name,
          .op =
              [=](const Tensors& x) {
                return is_mean ? mean(x[0], dims, keepdim) : sum(x[0], dims, keepdim);
              },
          .cases = std::move(cases),
          .reference = reduction(dims, is_mean),
          .terms = numel};
}

const Register reductions({
    reduce_row("sum of all", {}, {{{1}}, {{3, 7}}, {{2, 3, 5, 3}}, {{9001}}, {{20011}}, {{0, 3}}}),
    reduce_row("sum of rows", {-1},
               {{{1, 1}}, {{3, 7}}, {{2, 5, 33}}, {{70, 12}}, {{3, 4999}}, {{2, 16500}}}),
    reduce_row("sum of columns", {0, 1, 2},
               {{{2, 3, 5, 4}},
                {{1, 1, 1, 3}},
                {{7, 13, 17, 3}},
                {{3, 1, 5, 300}},
                {{1, 2, 135, 132}},
                {{17, 11, 13, 1}}}),
    reduce_row("sum of the middle", {1}, {{{2, 3, 5}}, {{3, 17, 1}}, {{2, 1100, 3}}}),
    reduce_row("sum of outer and inner", {0, 2}, {{{2, 3, 5}}, {{4, 1, 7}}, {{5, 6, 71}}}, false,
               true),
    reduce_row("sum of second and last", {1, 3}, {{{2, 3, 4, 5}}}),
    reduce_row("mean of all", {}, {{{1}}, {{3, 7}}}, true),
    reduce_row("mean of rows", {-1}, {{{3, 7}}, {{2, 3, 11}}}, true, true),
    reduce_row("mean over space", {1, 2}, {{{2, 4, 3, 5}}}, true),
});

Reference largest(int64_t outer, int64_t n, int64_t inner) {
  return [=](const Arrays& x) {
    Values y;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        double best = x[0][o * n * inner + i];
        for (int64_t k = 1; k < n; ++k) best = std::max(best, x[0][(o * n + k) * inner + i]);
        y.push_back(best);
      }
    return y;
  };
}

// f folded over one dimension.
Reference folded(int dim, std::function<double(double, double)> f) {
  return [dim, f = std::move(f)](const Arrays& x) {
    const Shape& s = x[0].shape;
    const int64_t n = s[dim], inner = s.inner(dim);
    Values y;
    for (int64_t i = 0; i < s.outer(dim) * inner; ++i) {
      const int64_t first = i / inner * n * inner + i % inner;
      double total = x[0][first];
      for (int64_t k = 1; k < n; ++k) total = f(total, x[0][first + k * inner]);
      y.push_back(total);
    }
    return y;
  };
}

// 1 everywhere, but for one 0 in the second row and two in the third of (3, 5).
Tensor zeros_in_rows(const Tensor& x) {
  return Tensor::from({1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1}, {3, 5}, x.dtype(), x.device());
}

const Register extremes({
    {.name = "max of rows",
     .op = [](const Tensors& x) { return max(x[0], -1); },
     .cases = {{{6, 7}}},
     .reference = largest(6, 7, 1),
     .inputs = {{Domain::distinct}}},
    {.name = "max of the middle",
     .op = [](const Tensors& x) { return max(x[0], 1, true); },
     .cases = {{{3, 5, 4}}},
     .reference = largest(3, 5, 4),
     .inputs = {{Domain::distinct}}},
    {.name = "min of rows",
     .op = [](const Tensors& x) { return min(x[0], -1); },
     .cases = {{{6, 7}}, {{6, 1}}},
     .reference = folded(-1, [](double a, double b) { return std::min(a, b); }),
     .inputs = {{Domain::distinct}}},
    {.name = "min of the middle",
     .op = [](const Tensors& x) { return min(x[0], 1, true); },
     .cases = {{{3, 5, 4}}},
     .reference = folded(1, [](double a, double b) { return std::min(a, b); }),
     .inputs = {{Domain::distinct}}},
    {.name = "prod of rows",
     .op = [](const Tensors& x) { return prod(x[0], -1); },
     .cases = {{{3, 7}}, {{5, 1}}, {{2, 3, 13}}},
     .reference = folded(-1, std::multiplies<>()),
     .inputs = {{Domain::away_from_zero}},
     .terms = [](const Shapes& s) { return s[0][-1]; }},
    {.name = "prod of the middle",
     .op = [](const Tensors& x) { return prod(x[0], 1, true); },
     .cases = {{{2, 6, 3}}},
     .reference = folded(1, std::multiplies<>()),
     .inputs = {{Domain::away_from_zero}},
     .terms = [](const Shapes&) { return int64_t{6}; }},
    // Differences around zeros: the gradient of a product with none, one and two of them.
    {.name = "prod with zeros",
     .op = [](const Tensors& x) { return prod(x[0] * zeros_in_rows(x[0]), -1); },
     .cases = {{{3, 5}}},
     .reference =
         [](const Arrays& x) {
           return Values{x[0][0] * x[0][1] * x[0][2] * x[0][3] * x[0][4], 0, 0};
         },
     .inputs = {{Domain::away_from_zero}},
     .terms = [](const Shapes& s) { return s[0][-1]; }},
});

const Register stretching({
    {.name = "expand",
     .op =
         [](const Tensors& x) {
           return expand(x[0], {4, 2, 3, 5});
         },
     .cases = {{{2, 1, 5}}, {{3, 1}}, {{1}}, {{4, 1, 3, 1}}, {Shape{}}},
     .reference =
         [](const Arrays& x) {
           Values y;
           for (int64_t i = 0; i < 120; ++i)
             y.push_back(x[0][broadcast_index({4, 2, 3, 5}, x[0].shape, i)]);
           return y;
         },
     .terms = [](const Shapes&) { return int64_t{120}; }},
    {.name = "sum_to",
     .op =
         [](const Tensors& x) {
           return sum_to(x[0], {3, 1, 5});
         },
     .cases = {{{3, 2, 5}}, {{2, 3, 4, 5}}, {{3, 1, 5}}},
     .reference =
         [](const Arrays& x) {
           const int rank = x[0].shape.rank();
           return scattered_sum(x[0], 15, [rank](const std::vector<int64_t>& at) {
             return at[static_cast<size_t>(rank - 3)] * 5 + at[static_cast<size_t>(rank - 1)];
           });
         },
     .terms = numel},
});

Values unchanged(const Arrays& x) { return x[0].values; }

Reference permuted(std::vector<int> order) {
  return [order = std::move(order)](const Arrays& x) {
    Shape shape;
    for (const int d : order) shape.push_back(x[0].shape[d]);
    Values y;
    for (int64_t i = 0; i < shape.numel(); ++i) {
      const std::vector<int64_t> at = position_of(shape, i);
      std::vector<int64_t> source(order.size());
      for (size_t d = 0; d < order.size(); ++d) source[static_cast<size_t>(order[d])] = at[d];
      int64_t index = 0;
      for (int d = 0; d < x[0].shape.rank(); ++d)
        index = index * x[0].shape[d] + source[static_cast<size_t>(d)];
      y.push_back(x[0][index]);
    }
    return y;
  };
}

Row permute_row(const char* name, const std::vector<int>& order) {
  return {
      .name = name,
      .op = [order](const Tensors& x) { return permute(x[0], order); },
      .cases = {{{2, 3, 5, 4}}, {{1, 7, 1, 3}}, {{3, 37, 1, 41}}, {{2, 9, 3, 16}}, {{0, 2, 3, 1}}},
      .reference = permuted(order)};
}

const Register moves({
    {.name = "reshape",
     .op =
         [](const Tensors& x) {
           return reshape(x[0], std::vector<int64_t>{3, -1});
         },
     .cases = {{{6, 5}}, {{3}}, {{1, 3, 7}}},
     .reference = unchanged},
    permute_row("permute 0213", {0, 2, 1, 3}),
    permute_row("permute 3210", {3, 2, 1, 0}),
    permute_row("permute 0312", {0, 3, 1, 2}),
    permute_row("permute 0231", {0, 2, 3, 1}),
    permute_row("permute 2301", {2, 3, 0, 1}),
    permute_row("permute 1302", {1, 3, 0, 2}),
    {.name = "transpose",
     .op = [](const Tensors& x) { return transpose(x[0], -1, -2); },
     .cases = {{{2, 3, 5}}, {{67, 35}}},
     .reference =
         [](const Arrays& x) {
           return x[0].shape.rank() == 2 ? permuted({1, 0})(x) : permuted({0, 2, 1})(x);
         }},
    {.name = "concat of the middle",
     .op =
         [](const Tensors& x) {
           return concat({x[0], x[1], x[2]}, 1);
         },
     .cases = {{{2, 3, 2}, {2, 1, 2}, {2, 4, 2}}},
     .reference =
         [](const Arrays& x) {
           Values y;
           for (int64_t o = 0; o < 2; ++o)
             for (const Array& part : x)
               for (int64_t i = 0; i < part.size() / 2; ++i)
                 y.push_back(part[o * part.size() / 2 + i]);
           return y;
         }},
    {.name = "slice",
     .op = [](const Tensors& x) { return slice(x[0], 1, 2, 3); },
     .cases = {{{2, 7, 3}}, {{1, 5}}},
     .reference =
         [](const Arrays& x) {
           const Shape& s = x[0].shape;
           Values y;
           for (int64_t i = 0; i < x[0].size(); ++i)
             if (const int64_t k = i / s.inner(1) % s[1]; k >= 2 && k < 5) y.push_back(x[0][i]);
           return y;
         }},
    {.name = "pad",
     .op = [](const Tensors& x) { return pad(x[0], 0, 1, 2); },
     .cases = {{{3, 5}}, {{1}}},
     .reference =
         [](const Arrays& x) {
           const auto inner = static_cast<size_t>(x[0].shape.inner(0));
           Values y(inner, 0.0);
           y.insert(y.end(), x[0].values.begin(), x[0].values.end());
           y.resize(y.size() + 2 * inner, 0.0);
           return y;
         }},
    {.name = "roll",
     .op = [](const Tensors& x) { return roll(x[0], 1, -2); },
     .cases = {{{2, 5, 3}}, {{3, 2}}},
     .reference =
         [](const Arrays& x) {
           const int64_t n = x[0].shape[1], inner = x[0].shape.inner(1);
           Values y;
           for (int64_t i = 0; i < x[0].size(); ++i) {
             const int64_t k = i / inner % n;
             y.push_back(x[0][i + ((k + 2) % n - k) * inner]);
           }
           return y;
         }},
    // In f64 and bf16 runs the cast rounds; f32 differences are too coarse for the derivative
    // checks.
    {.name = "cast",
     .op = [](const Tensors& x) { return cast(cast(x[0], DType::f64), x[0].dtype()); },
     .cases = {{{3, 7}}},
     .reference = unchanged},
});

std::vector<int64_t> chosen_rows(int64_t count, int64_t rows) {
  std::vector<int64_t> index;
  for (int64_t i = 0; i < count; ++i) index.push_back((3 * i + 1) % std::max<int64_t>(rows, 1));
  return index;
}

Tensor index_tensor(const Shape& shape, int64_t rows, Device device) {
  const std::vector<int64_t> index = chosen_rows(shape.numel(), rows);
  return Tensor::from(std::vector<double>(index.begin(), index.end()), shape, DType::i32, device);
}

const Register selection({
    {.name = "gather",
     .op =
         [](const Tensors& x) {
           return gather(x[0], index_tensor({2, 4}, x[0].size(0), x[0].device()));
         },
     .cases = {{{5, 3}}, {{1, 2}}, {{7}}, {{3, 2, 5}}, {{6, 8}}},
     .reference =
         [](const Arrays& x) {
           Values y;
           for (const int64_t row : chosen_rows(8, x[0].shape[0]))
             for (int64_t c = 0; c < x[0].shape.inner(0); ++c)
               y.push_back(x[0][row * x[0].shape.inner(0) + c]);
           return y;
         },
     .terms = [](const Shapes&) { return int64_t{8}; }},
    {.name = "scatter_add",
     .op =
         [](const Tensors& x) {
           return scatter_add(x[0], index_tensor({x[0].size(0)}, 5, x[0].device()), 5);
         },
     .cases = {{{9, 3}}, {{1, 2}}, {{13}}, {{301, 37}}},
     .reference =
         [](const Arrays& x) {
           const std::vector<int64_t> index = chosen_rows(x[0].shape[0], 5);
           const int64_t inner = x[0].shape.inner(0);
           Values y(static_cast<size_t>(5 * inner));
           for (int64_t i = 0; i < x[0].size(); ++i)
             y[static_cast<size_t>(index[static_cast<size_t>(i / inner)] * inner + i % inner)] +=
                 x[0][i];
           return y;
         },
     .terms = numel},
});

}  // namespace
}  // namespace passband::op_table
