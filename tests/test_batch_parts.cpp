// Sums over the parts of a batch: the bits do not depend on how many processes share it, and the
// values are those of sums that are not cut.
#include <doctest/doctest.h>

#include "tensor/autograd/batch_sum.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/batch_share.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/attention/lambda.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/mlp.h"
#include "tensor/ops/norm.h"
#include "tests/numeric.h"

using namespace passband;
using numeric::max_difference;
using numeric::random_tensor;
using numeric::Tensors;

namespace {

constexpr int64_t kPictures = 32;

// An operation of pictures, the first operand, and parameters.
struct Row {
  std::string name;
  Shape picture;  // without the batch's dimension
  std::vector<Shape> parameters;
  std::function<Tensor(const Tensor& x, const Tensors& parameters)> apply;
};

Row convolution(const std::string& name, const Shape& picture, const Shape& weight,
                const ConvOptions& options) {
  return {name, picture, {weight, {weight[0]}}, [options](const Tensor& x, const Tensors& p) {
            return conv2d(x, p[0], p[1], options);
          }};
}

Row constant_norm(const Shape& picture) {
  return {"batch_norm's parameters", picture, {{20}, {20}}, [](const Tensor& x, const Tensors& p) {
            return batch_norm(x, p[0], p[1], Tensor::full({20}, 0.1, x.dtype()),
                              Tensor::full({20}, 0.3, x.dtype()),
                              {.training = false, .relu = true});
          }};
}

std::vector<Row> rows() {
  return {
      convolution("conv2d 3x3, many channels", {8, 8, 32}, {48, 3, 3, 32}, {.padding = 1}),
      convolution("conv2d 3x3 of stride 2", {8, 8, 6}, {10, 3, 3, 6}, {.stride = 2, .padding = 1}),
      convolution("conv2d by depth", {6, 6, 16}, {16, 3, 3, 1}, {.padding = 1, .groups = 16}),
      convolution("conv2d 1x1", {4, 4, 256}, {64, 1, 1, 256}, {}),
      constant_norm({7, 7, 20}),
      {"linear",
       {2100},
       {{10, 2100}, {10}},
       [](const Tensor& x, const Tensors& p) { return linear(x, p[0], p[1]); }},
      {"mlp",
       {17, 24},
       {{96, 24}, {96}, {24, 96}, {24}},
       [](const Tensor& x, const Tensors& p) { return mlp(x, p[0], p[1], p[2], p[3]); }},
      {"layer_norm",
       {17, 40},
       {{40}, {40}},
       [](const Tensor& x, const Tensors& p) { return layer_norm(x, p[0], p[1]); }},
      {"group_norm",
       {5, 5, 24},
       {{24}, {24}},
       [](const Tensor& x, const Tensors& p) { return group_norm(x, p[0], p[1], 4); }},
      {"attention",
       {4, 4, 48},
       {{49, 2}},
       [](const Tensor& x, const Tensors& p) { return attention(x, p[0], {.heads = 2}); }},
      {"lambda_layer",
       {4, 4, 8},
       {{7, 7, 4, 1}},
       [](const Tensor& x, const Tensors& p) {
         return lambda_layer(x, slice(x, 3, 0, 4), slice(x, 3, 2, 5), p[0], {},
                             {.heads = 2, .depth = 4});
       }},
      {"what is added to all pictures",
       {9, 11},
       {{1, 9, 11}, {11}},
       [](const Tensor& x, const Tensors& p) { return (x + p[0]) * p[1]; }},
  };
}

Tensor own_pictures(const Tensor& x, const BatchShare& share) {
  return concat(
      {slice(x, 0, share.low, share.low_count), slice(x, 0, share.high, share.high_count)}, 0);
}

// The parameters' gradients of one of `processes`.
Tensors gradients(const Row& row, DType dtype, int rank, int processes, bool cut) {
  Shape shape{kPictures};
  for (const int64_t side : row.picture) shape.push_back(side);
  const BatchShare share = share_of_batch(kPictures, rank, processes);
  const Tensor x = own_pictures(random_tensor(shape, 1, dtype), share);
  Tensors parameters;
  for (size_t i = 0; i < row.parameters.size(); ++i)
    parameters.push_back(random_tensor(row.parameters[i], 10 + i, dtype).leaf());
  const BatchPartsGuard guard(cut ? parts_of_batch(kPictures, processes) : BatchParts{});
  const Tensor y = row.apply(x, parameters);
  Shape whole = y.shape();
  whole[0] = kPictures;
  const Tensor dy = own_pictures(random_tensor(whole, 2, dtype), share);
  return grad(y, parameters, {.seed = dy});
}

}  // namespace

TEST_CASE("gradients of parts of a batch add up to the bits of the whole") {
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    const Tensors whole = gradients(row, DType::f32, 0, 1, true);
    for (const int processes : {2, 4, 8}) {
      CAPTURE(processes);
      std::vector<Tensors> own;
      for (int rank = 0; rank < processes; ++rank)
        own.push_back(gradients(row, DType::f32, rank, processes, true));
      for (int stride = 1; stride < processes; stride *= 2)
        for (int p = 0; p + stride < processes; p += 2 * stride)
          for (size_t i = 0; i < whole.size(); ++i)
            add_(own[static_cast<size_t>(p)][i], own[static_cast<size_t>(p + stride)][i]);
      for (size_t i = 0; i < whole.size(); ++i) CHECK(own[0][i].values() == whole[i].values());
    }
  }
}

TEST_CASE("what is cut into parts has the value of what is not") {
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    const Tensors cut = gradients(row, DType::f64, 0, 1, true),
                  whole = gradients(row, DType::f64, 0, 1, false);
    for (size_t i = 0; i < cut.size(); ++i)
      CHECK(max_difference(cut[i].values(), whole[i].values()) < 1e-10);
  }
}

TEST_CASE("statistics of a batch norm that is cut are those of the batch") {
  const Tensor x = random_tensor({kPictures, 5, 5, 7}, 1) * 2.0 + 3.0;
  const auto pass = [&](bool cut) {
    const BatchPartsGuard guard(cut ? parts_of_batch(kPictures, 1) : BatchParts{});
    Tensor mean = Tensor::zeros({7}, DType::f64), var = Tensor::full({7}, 1, DType::f64);
    const Tensor in = x.leaf(), gamma = random_tensor({7}, 3).leaf(),
                 beta = random_tensor({7}, 4).leaf();
    const Tensor y = batch_norm(in, gamma, beta, mean, var, {.relu = true});
    Tensors results = grad(y, {in, gamma, beta}, {.seed = random_tensor(x.shape(), 5)});
    for (const Tensor& t : {y.detach(), mean, var}) results.push_back(t);
    return results;
  };
  const Tensors cut = pass(true), whole = pass(false);
  for (size_t i = 0; i < cut.size(); ++i)
    CHECK(max_difference(cut[i].values(), whole[i].values()) < 1e-11);
}

TEST_CASE("a batch is cut where each process has whole parts and their mirror images") {
  CHECK(parts_of_batch(64, 1).count == 16);
  CHECK(parts_of_batch(64, 8).count == 2);
  CHECK(parts_of_batch(64, 8).rows == 8);
  CHECK(parts_of_batch(64, 16).count == 1);  // each has one part, and its mirror image is elsewhere
  CHECK(parts_of_batch(96, 3).count == 1);   // no tree of ranks is that of parts
  CHECK(parts_of_batch(12, 1).count == 4);
  CHECK(parts_of_batch(12, 2).count == 2);
  CHECK(parts_of_batch(13, 1).count == 1);
  CHECK_FALSE(batch_parts().cut(64));
}
