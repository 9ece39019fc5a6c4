// Softmax and matrix product as ladders, and what all ladders share.
#include "experiments/ladder/steps.h"

#include <cmath>
#include <limits>

#include <cuda_emulator/device_array.h>

#include "experiments/ladder/inputs.h"
#include "experiments/ladder/ladder.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/softmax.h"

namespace ladder {

using passband::testing::DeviceArray;

double worst_error(const Ladder& ladder, const std::vector<float>& values) {
  if (values.size() != ladder.expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(double{values[i]} - ladder.expected[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

std::vector<Ladder> all_ladders(bool small) {
  return {softmax_ladder(small), matmul_ladder(small), convolution_ladder(small),
          attention_ladder(small)};
}

Ladder softmax_ladder(bool small) {
  const int rows = small ? 8 : 32, columns = 1024;
  const std::vector<float> x = random_values(rows * columns, 1, 3.0);
  Ladder ladder{"softmax", std::to_string(rows) + " rows of 1,024", {}, {}};
  ladder.expected = floats(passband::softmax(exact(x, {rows, columns})));
  const auto add = [&](const char* name, const char* change, double per_element, auto kernel) {
    const auto run = [=] {
      const DeviceArray<float> from(x), to(x.size());
      kernel(to, from, rows, columns);
      return to.to_host();
    };
    ladder.steps.push_back({name, change, per_element * rows * columns, 1e-6, run});
  };
  add("naive", "a thread a row, three passes", 7, softmax_1_naive);
  add("coalesced", "a block a row, a tree of sums", 7, softmax_2_coalesced);
  add("sequential", "the tree folds halves", 7, softmax_3_sequential);
  add("shuffles", "warps join in registers", 7, softmax_4_shuffles);
  add("online", "maximum and sum in one pass", 11, softmax_5_online);
  add("registers", "a warp keeps its row", 5, softmax_6_registers);
  return ladder;
}

Ladder matmul_ladder(bool small) {
  const int m = small ? 64 : 128, n = small ? 64 : 128, k = 64;
  const std::vector<float> a = random_values(m * k, 2, 1.0), b = random_values(k * n, 3, 1.0);
  Ladder ladder{"matmul",
                std::to_string(m) + " x 64 by 64 x " + std::to_string(n),
                floats(passband::matmul(exact(a, {m, k}), exact(b, {k, n}))),
                {}};
  const double operations = 2.0 * m * n * k;
  const auto add = [&](const char* name, const char* change, auto kernel) {
    const auto run = [=] {
      const DeviceArray<float> left(a), right(b), to(static_cast<size_t>(m * n));
      kernel(to, left, right, m, n, k);
      return to.to_host();
    };
    ladder.steps.push_back({name, change, operations, 2e-5, run});
  };
  add("naive", "a thread an element, x along rows", matmul_1_naive);
  add("coalesced", "x along columns", matmul_2_coalesced);
  add("tiles", "squares of 32 in shared memory", matmul_3_tiles);
  add("registers", "4 x 4 elements a thread", matmul_4_registers);
  add("packs", "16 bytes a reading, padded", matmul_5_packs);
  add("pipeline", "the next tile on its way", matmul_6_pipeline);
  const auto run = [=] {
    const DeviceArray<bf16> left(rounded(a)), right(rounded(b));
    const DeviceArray<float> to(static_cast<size_t>(m * n));
    matmul_7_tensor_cores(to, left, right, m, n, k);
    return to.to_host();
  };
  // A product of two numbers of 8 bits is off by at most 2^-8 of itself, 64 of them by 8 x 2^-8 or
  // so.
  ladder.steps.push_back({"tensor cores", "bf16, mma and ldmatrix", operations, 0.1, run});
  return ladder;
}

}  // namespace ladder
