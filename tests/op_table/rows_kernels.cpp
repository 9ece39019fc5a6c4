// Rows of the operations that compare layers: inner products of rows, centring of kernel matrices.
#include <algorithm>

#include "tensor/ops/centre.h"
#include "tensor/ops/vecdot.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

const Register inner_products({
    {.name = "vecdot",
     .op = [](const Tensors& x) { return vecdot(x[0], x[1]); },
     .cases = {{{7}, {7}},
               {{1, 1}, {1, 1}},
               {{3, 5, 4}, {3, 5, 4}},
               {{2, 3, 5}, {5}},
               {{2, 3, 5}, {3, 5}},
               {{5, 130}, {5, 130}},
               {{3, 1100}, {1100}},
               {{2, 9001}, {2, 9001}},
               {{17001}, {17001}},
               {{0, 3}, {3}},
               {{3, 0}, {3, 0}}},
     .reference =
         [](const Arrays& x) {
           const int64_t n = x[0].shape[-1], rows = n > 0 ? x[0].size() / n : x[0].shape[0];
           Values y(static_cast<size_t>(rows));
           for (int64_t i = 0; i < x[0].size(); ++i)
             y[static_cast<size_t>(i / n)] += x[0][i] * x[1][i % x[1].size()];
           return y;
         },
     .terms = [](const Shapes& s) { return std::max<int64_t>(1, s[0].numel()); }},
});

// H K H and U(K) by their definitions on the matrices of x: with P = I - 11^T / n, and the sum form
// of Szekely and Rizzo (2014), definition 2, with row and column sums apart.
Reference by_matrix(
    std::function<double(const std::vector<double>& k, int64_t n, int64_t i, int64_t j)> entry) {
  return [entry = std::move(entry)](const Arrays& x) {
    const int64_t n = x[0].shape[-1];
    Values y;
    for (int64_t m = 0; m < x[0].size(); m += n * n) {
      const Values k(x[0].values.begin() + m, x[0].values.begin() + m + n * n);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) y.push_back(entry(k, n, i, j));
    }
    return y;
  };
}

double projected(const Values& k, int64_t n, int64_t i, int64_t j) {
  const auto p = [n](int64_t a, int64_t b) {
    return (a == b ? 1.0 : 0.0) - 1.0 / static_cast<double>(n);
  };
  double y = 0;
  for (int64_t a = 0; a < n; ++a)
    for (int64_t b = 0; b < n; ++b) y += p(i, a) * k[static_cast<size_t>(a * n + b)] * p(b, j);
  return y;
}

double u_centred(const Values& k, int64_t n, int64_t i, int64_t j) {
  if (i == j) return 0;
  double row = 0, column = 0, all = 0;
  for (int64_t a = 0; a < n; ++a)
    for (int64_t b = 0; b < n; ++b) {
      if (a == b) continue;
      const double value = k[static_cast<size_t>(a * n + b)];
      row += a == i ? value : 0;
      column += b == j ? value : 0;
      all += value;
    }
  const auto count = static_cast<double>(n);
  return k[static_cast<size_t>(i * n + j)] - (row + column) / (count - 2) +
         all / ((count - 1) * (count - 2));
}

int64_t entries(const Shapes& s) { return s[0][-1] * s[0][-1]; }

const Register centrings({
    {.name = "double_centre",
     .op = [](const Tensors& x) { return double_centre(x[0]); },
     .cases = {{{5, 5}}, {{1, 1}}, {{3, 4, 4}}, {{2, 1, 7, 7}}, {{33, 33}}, {{0, 3, 3}}},
     .reference = by_matrix(projected),
     .terms = entries},
    {.name = "u_centre",
     .op = [](const Tensors& x) { return u_centre(x[0]); },
     .cases = {{{5, 5}}, {{3, 3}}, {{3, 4, 4}}, {{2, 1, 7, 7}}, {{33, 33}}, {{0, 4, 4}}},
     .reference = by_matrix(u_centred),
     .terms = entries},
});

}  // namespace
}  // namespace passband::op_table
