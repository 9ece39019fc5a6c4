// Rows of comparisons, choices by a mask, and attention under one.
#include <algorithm>
#include <limits>

#include "tensor/ops/attention/dot_attention.h"
#include "tensor/ops/mask.h"
#include "tensor/ops/pointwise.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

// --- comparisons ---

// Of signs, so that there are equals among them.
Row comparison_row(const char* name, Tensor (*op)(const Tensor&, const Tensor&),
                   bool (*holds)(double, double)) {
  const auto sign_of = [](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; };
  return {.name = name,
          .op = [op](const Tensors& x) { return op(sign(x[0]), sign(x[1])); },
          .cases = {{{5, 7}, {5, 7}}, {{3, 1, 5}, {4, 1}}, {{}, {9}}, {{2, 3}, {1}}},
          .reference = elementwise(
              [=](double a, double b) { return holds(sign_of(a), sign_of(b)) ? 1.0 : 0.0; }),
          .differentiable = false};
}

const Register comparisons({
    comparison_row("eq", eq, [](double a, double b) { return a == b; }),
    comparison_row("ne", ne, [](double a, double b) { return a != b; }),
    comparison_row("lt", lt, [](double a, double b) { return a < b; }),
    comparison_row("le", le, [](double a, double b) { return a <= b; }),
    comparison_row("gt", gt, [](double a, double b) { return a > b; }),
    comparison_row("ge", ge, [](double a, double b) { return a >= b; }),
    {.name = "ge of a number",
     .op = [](const Tensors& x) { return ge(x[0], 0.25); },
     .cases = {{{5, 7}}, {{}}},
     .reference = elementwise([](double x) { return x >= 0.25 ? 1.0 : 0.0; }),
     .differentiable = false},
});

// --- choices ---

// a where the third is positive, else b, of shape (2, 3, 4).
const Register choices({
    {.name = "where",
     .op = [](const Tensors& x) { return where(gt(x[2], 0.0), x[0], x[1]); },
     .cases = {{{2, 3, 4}, {2, 3, 4}, {2, 3, 4}},
               {{3, 4}, {2, 3, 1}, {2, 1, 4}},
               {{1}, {2, 3, 4}, {4}},
               {{2, 3, 4}, {}, {2, 1, 1}}},
     .reference =
         [](const Arrays& x) {
           const Shape shape{2, 3, 4};
           Values y;
           for (int64_t i = 0; i < shape.numel(); ++i) {
             const Array& from = x[2][broadcast_index(shape, x[2].shape, i)] > 0 ? x[0] : x[1];
             y.push_back(from[broadcast_index(shape, from.shape, i)]);
           }
           return y;
         },
     .inputs = {{}, {}, {.domain = Domain::away_from_zero, .differentiable = false}},
     .terms = [](const Shapes&) { return int64_t{24}; }},
    {.name = "where of a number",
     .op = [](const Tensors& x) { return where(lt(x[1], 0.0), -2.0, x[0]); },
     .cases = {{{5, 3}, {5, 3}}, {{4099}, {1}}},
     .reference =
         [](const Arrays& x) {
           Values y;
           for (int64_t i = 0; i < x[0].size(); ++i)
             y.push_back(x[1][i % x[1].size()] < 0 ? -2 : x[0][i]);
           return y;
         },
     .inputs = {{}, {.domain = Domain::away_from_zero, .differentiable = false}}},
});

// --- attention ---

// What a query may see of a key, and what is added to their score.
using Visible = std::function<bool(int64_t query, int64_t key)>;
using Added = std::function<double(const Arrays&, int64_t head, int64_t query, int64_t key)>;

Values attended(const Arrays& x, const Visible& visible, const Added& added) {
  const Shape &q = x[0].shape, &k = x[1].shape, &v = x[2].shape;
  const int64_t heads = q[1], shared = heads / k[1], depth = q[3], keys = k[2], width = v[3];
  Values y;
  for (int64_t row = 0; row < q.outer(3); ++row) {
    const int64_t t = row % q[2], h = row / q[2] % heads, b = row / q[2] / heads;
    const int64_t first_key = (b * k[1] + h / shared) * keys;
    Values weights;
    double total = 0;
    for (int64_t s = 0; s < keys; ++s) {
      double score = 0;
      for (int64_t d = 0; d < depth; ++d)
        score += x[0][row * depth + d] * x[1][(first_key + s) * depth + d];
      score = score / std::sqrt(static_cast<double>(depth)) + (added ? added(x, h, t, s) : 0);
      weights.push_back(!visible || visible(t, s) ? std::exp(score) : 0);
      total += weights.back();
    }
    for (int64_t e = 0; e < width; ++e) {
      double sum = 0;
      for (int64_t s = 0; s < keys; ++s)
        sum += weights[static_cast<size_t>(s)] * x[2][(first_key + s) * width + e];
      y.push_back(total > 0 ? sum / total : 0);
    }
  }
  return y;
}

// A query that sees nothing, and others that see some.
bool is_shown(int64_t query, int64_t key) { return query != 1 && (3 * query + key) % 4 != 0; }

Tensor shown(const Tensor& q, const Tensor& k) {
  Values values;
  for (int64_t t = 0; t < q.size(2); ++t)
    for (int64_t s = 0; s < k.size(2); ++s) values.push_back(is_shown(t, s) ? 1 : 0);
  return Tensor::from(values, {q.size(2), k.size(2)}, DType::u8, q.device());
}

Row attention_row(const char* name, std::function<Tensor(const Tensors&)> op,
                  std::vector<Shapes> cases, Visible visible = {}, Added added = {}) {
  return {.name = std::string("dot attention") + name,
          .op = std::move(op),
          .cases = std::move(cases),
          .reference = [=](const Arrays& x) { return attended(x, visible, added); },
          .tolerance = 8,
          .gradient_tolerance = 32,
          .terms = [](const Shapes& s) { return s[0][3] * s[1][2]; }};
}

double mask_of(const Arrays& x, int64_t head, int64_t query, int64_t key) {
  const Shape& m = x[3].shape;  // (heads or 1, T, S)
  return x[3][((m[0] == 1 ? 0 : head) * m[1] + query) * m[2] + key];
}

const Register attentions({
    attention_row(
        "", [](const Tensors& x) { return scaled_dot_product_attention(x[0], x[1], x[2]); },
        {{{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 3}}, {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 2}}}),
    attention_row(" of grouped heads",
                  [](const Tensors& x) { return scaled_dot_product_attention(x[0], x[1], x[2]); },
                  {{{1, 4, 3, 2}, {1, 2, 4, 2}, {1, 2, 4, 5}},
                   {{2, 3, 2, 3}, {2, 1, 5, 3}, {2, 1, 5, 2}}}),
    attention_row(
        ", causal",
        [](const Tensors& x) {
          return scaled_dot_product_attention(x[0], x[1], x[2], {}, {.causal = true});
        },
        {{{1, 2, 4, 3}, {1, 2, 6, 3}, {1, 2, 6, 2}}, {{1, 2, 5, 2}, {1, 1, 3, 2}, {1, 1, 3, 2}}},
        [](int64_t query, int64_t key) { return key <= query; }),
    attention_row(
        ", boolean mask",
        [](const Tensors& x) {
          return scaled_dot_product_attention(x[0], x[1], x[2], shown(x[0], x[1]));
        },
        {{{2, 2, 3, 4}, {2, 1, 5, 4}, {2, 1, 5, 3}}}, is_shown),
    attention_row(
        ", boolean mask and causal",
        [](const Tensors& x) {
          return scaled_dot_product_attention(x[0], x[1], x[2], shown(x[0], x[1]),
                                              {.causal = true});
        },
        {{{1, 2, 5, 2}, {1, 2, 4, 2}, {1, 2, 4, 3}}},
        [](int64_t query, int64_t key) { return is_shown(query, key) && key <= query; }),
    attention_row(
        ", added mask",
        [](const Tensors& x) { return scaled_dot_product_attention(x[0], x[1], x[2], x[3]); },
        {{{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 3}, {2, 3, 5}},
         {{1, 2, 3, 2}, {1, 1, 4, 2}, {1, 1, 4, 2}, {1, 3, 4}}},
        {}, mask_of),
    attention_row(
        ", added mask with -infinity",
        [](const Tensors& x) {
          const Tensor mask =
              where(shown(x[0], x[1]), x[3], -std::numeric_limits<double>::infinity());
          return scaled_dot_product_attention(x[0], x[1], x[2], mask);
        },
        {{{1, 2, 3, 2}, {1, 2, 5, 2}, {1, 2, 5, 3}, {2, 3, 5}}}, is_shown, mask_of),
});

}  // namespace
}  // namespace passband::op_table
