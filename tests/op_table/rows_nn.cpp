// Rows of the norms, attention and the lambda layer. Residual, running statistics, both orders,
// windows and shifts each have a row; what needs more than one call (running statistics, threads,
// errors) is in test_norm, test_attention and test_lambda.
#include "tensor/ops/norm.h"
#include "tests/nn_reference.h"
#include "tests/op_table/references.h"

namespace passband::op_table {
namespace {

Tensor tensor_of(const Array& array) { return Tensor::from(array.values, array.shape, DType::f64); }

Tensors tensors_of(const Arrays& arrays) {
  Tensors tensors;
  for (const Array& array : arrays) tensors.push_back(tensor_of(array));
  return tensors;
}

// x, gamma, beta.
const std::vector<Input> kAffine{
    {}, {.domain = Domain::positive, .parameter = true}, {.parameter = true}};

// Each case: the shape of x; gamma and beta follow from it.
std::vector<Shapes> with_affine(const std::vector<Shape>& shapes) {
  std::vector<Shapes> cases;
  for (const Shape& shape : shapes) cases.push_back({shape, {shape[-1]}, {shape[-1]}});
  return cases;
}

int64_t rows_of(const Shapes& s) { return s[0].outer(-1); }
int64_t columns_of(const Shapes& s) { return s[0][-1]; }

// eps is large, so that a channel with two nearly equal values does not make the differences
// inexact.
constexpr double kEps = 0.1;

const Register norms({
    {.name = "batch_norm",
     .op = [](const Tensors& x) { return batch_norm(x[0], x[1], x[2], {}, {}, {.eps = kEps}); },
     .cases = with_affine({{2, 3, 3, 5}, {2, 1}, {7, 3}, {3, 5, 7, 17}, {40, 37}}),
     .reference =
         [](const Arrays& x) {
           return reference::batch_norm(tensor_of(x[0]), tensor_of(x[1]), tensor_of(x[2]), kEps);
         },
     .inputs = kAffine,
     .terms = rows_of},
    {.name = "batch_norm, residual and relu",
     .op =
         [](const Tensors& x) {
           return batch_norm(x[0], x[1], x[2], {}, {}, {.eps = kEps, .relu = true}, x[3]);
         },
     .cases = {{{2, 3, 2, 5}, {5}, {5}, {2, 3, 2, 5}},
               {{5, 1}, {1}, {1}, {5, 1}},
               {{2, 5, 7, 33}, {33}, {33}, {2, 5, 7, 33}}},
     .reference =
         [](const Arrays& x) {
           Values y =
               reference::batch_norm(tensor_of(x[0]), tensor_of(x[1]), tensor_of(x[2]), kEps);
           for (size_t i = 0; i < y.size(); ++i) y[i] = std::max(0.0, y[i] + x[3].values[i]);
           return y;
         },
     .inputs = {kAffine[0], kAffine[1], kAffine[2], {}},
     .terms = rows_of},
    {.name = "batch_norm, evaluation and relu",
     .op =
         [](const Tensors& x) {
           return batch_norm(x[0], x[1], x[2], x[3], x[4],
                             {.training = false, .eps = kEps, .relu = true});
         },
     .cases = {{{2, 3, 2, 5}, {5}, {5}, {5}, {5}},
               {{1, 3}, {3}, {3}, {3}, {3}},
               {{2, 5, 7, 19}, {19}, {19}, {19}, {19}}},
     .reference =
         [](const Arrays& x) {
           Values y;
           for (int64_t i = 0; i < x[0].size(); ++i) {
             const int64_t c = i % x[1].size();
             y.push_back(std::max(
                 0.0, x[1][c] * (x[0][i] - x[3][c]) / std::sqrt(x[4][c] + kEps) + x[2][c]));
           }
           return y;
         },
     .inputs = {kAffine[0],
                kAffine[1],
                kAffine[2],
                {.parameter = true, .differentiable = false},
                {.domain = Domain::positive, .parameter = true, .differentiable = false}},
     .terms = rows_of},
    {.name = "layer_norm",
     .op = [](const Tensors& x) { return layer_norm(x[0], x[1], x[2], kEps); },
     .cases = with_affine({{3, 5}, {1, 2}, {2, 3, 17}, {2, 2, 2, 70}, {31, 130}}),
     .reference =
         [](const Arrays& x) {
           return reference::layer_norm(tensor_of(x[0]), tensor_of(x[1]), tensor_of(x[2]), kEps);
         },
     .inputs = kAffine,
     .terms = columns_of},
    {.name = "group_norm",
     .op =
         [](const Tensors& x) {
           return group_norm(x[0], x[1], x[2], x[0].size(3) % 3 == 0 ? 3 : 1, kEps);
         },
     .cases = with_affine({{2, 2, 3, 6}, {1, 1, 2, 1}, {2, 3, 5, 3}, {2, 5, 7, 33}}),
     .reference =
         [](const Arrays& x) {
           const int64_t groups = x[0].shape[3] % 3 == 0 ? 3 : 1;
           return reference::group_norm(tensor_of(x[0]), tensor_of(x[1]), tensor_of(x[2]), groups,
                                        kEps);
         },
     .inputs = kAffine,
     .terms = [](const Shapes& s) { return s[0][1] * s[0][2] * s[0][3]; }},
});

// Inputs qkv and, when a case has it, the table of relative positions.
Row attention_row(const char* name, const AttentionOptions& options, std::vector<Shapes> cases) {
  const auto bias = [](const Tensors& x) { return x.size() > 1 ? x[1] : Tensor{}; };
  return {.name = name,
          .op = [=](const Tensors& x) { return attention(x[0], bias(x), options); },
          .cases = std::move(cases),
          .reference =
              [=](const Arrays& x) {
                const Tensors t = tensors_of(x);
                return reference::attention(t[0], bias(t), options);
              },
          .tolerance = 8,
          .gradient_tolerance = 32,
          .terms = [](const Shapes& s) { return s[0].inner(0) / s[0][-1] + s[0][-1]; }};
}

const Register attentions({
    attention_row("attention", {.heads = 2},
                  {{{2, 5, 12}}, {{1, 1, 6}}, {{2, 3, 2, 18}}, {{1, 67, 102}}}),
    attention_row("attention, relative bias", {.heads = 2, .scale = 0.7},
                  {{{2, 2, 2, 12}, {9, 2}}, {{1, 3, 3, 6}, {25, 1}}, {{1, 1, 1, 6}, {1, 2}}}),
    attention_row("attention, windows", {.heads = 1, .window = 2},
                  {{{1, 4, 4, 6}, {9, 1}}, {{2, 2, 4, 9}}}),
    attention_row("attention, shifted windows", {.heads = 2, .window = 3, .shift = 1},
                  {{{1, 6, 6, 6}}, {{1, 6, 3, 6}, {25, 2}}, {{1, 3, 3, 12}, {25, 1}}}),
    {.name = "attention_probabilities",
     .op =
         [](const Tensors& x) {
           return attention_probabilities(x[0], x[1], {.heads = 2, .window = 2, .shift = 1});
         },
     .cases = {{{1, 4, 4, 12},
                {9, 2}}},  // values: test_attention compares the halves with the fused op
     .gradient_tolerance = 32,
     .terms = [](const Shapes&) { return int64_t{16}; }},
});

// Inputs q, keys, values, embedding and, when a case has it, the embedding's bias.
Row lambda_row(const char* name, const LambdaOptions& options, std::vector<Shapes> cases) {
  return {
      .name = name,
      .op =
          [=](const Tensors& x) {
            return lambda_layer(x[0], x[1], x[2], x[3], x.size() > 4 ? x[4] : Tensor{}, options);
          },
      .cases = std::move(cases),
      .reference = [=](const Arrays& x) { return reference::lambda_layer(tensors_of(x), options); },
      .tolerance = 8,
      .gradient_tolerance = 32,
      .terms = [=](const Shapes& s) { return s[0][1] * s[0][2] * s[0][3]; }};
}

constexpr LambdaOptions kGlobal{.heads = 2, .depth = 3},
    kLocal{.heads = 2, .depth = 2, .window = 3};

LambdaOptions with(LambdaOptions options, LambdaOrder order, int64_t intra_depth = 1) {
  options.order = order;
  options.intra_depth = intra_depth;
  return options;
}

const std::vector<Shapes> kGlobalCases{
    {{2, 3, 2, 6}, {2, 3, 2, 3}, {2, 3, 2, 4}, {5, 3, 3, 1}, {3}},
    {{1, 1, 1, 6}, {1, 1, 1, 3}, {1, 1, 1, 1}, {1, 1, 3, 1}},
    {{1, 5, 7, 6}, {1, 5, 7, 3}, {1, 5, 7, 17}, {9, 13, 3, 1}}};
const std::vector<Shapes> kLocalCases{{{1, 3, 4, 4}, {1, 3, 4, 4}, {1, 3, 4, 6}, {3, 3, 2, 2}, {2}},
                                      {{2, 2, 19, 4}, {2, 2, 19, 4}, {2, 2, 19, 2}, {3, 3, 2, 2}}};

const Register lambdas({
    lambda_row("lambda_layer, global, score first", with(kGlobal, LambdaOrder::score_first),
               kGlobalCases),
    lambda_row("lambda_layer, global, lambda first", with(kGlobal, LambdaOrder::lambda_first),
               kGlobalCases),
    lambda_row("lambda_layer, local, u = 2, score first", with(kLocal, LambdaOrder::score_first, 2),
               kLocalCases),
    lambda_row("lambda_layer, local, u = 2, lambda first",
               with(kLocal, LambdaOrder::lambda_first, 2), kLocalCases),
    {.name = "lambda_weights",
     .op = [](const Tensors& x) { return lambda_weights(x[0], x[1], x[2], kLocal); },
     .cases = {{{1, 3, 2, 4},
                {1, 3, 2, 2},
                {3, 3, 2, 1}}},  // values: test_lambda applies the weights to the values
     .gradient_tolerance = 32,
     .terms = [](const Shapes&) { return int64_t{6}; }},
});

}  // namespace
}  // namespace passband::op_table
