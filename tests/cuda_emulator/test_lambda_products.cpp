// What the order of products saves in the lambda layer: counted pair by pair, and as the emulator's
// tensor cores execute them.
#include "tensor/ops/attention/lambda.h"
#include "tests/cuda_emulator/controls.h"
#include "tests/device_check.h"

namespace passband {
namespace {

using device_check::kDevice;
using numeric::random_tensor;

// Products of one image's position part, counted pair by pair: `all_taps` counts what a
// convolution over the window multiplies, zeros included.
struct Products {
  int64_t published = 0, score_first = 0;

  Products(int64_t side, int64_t window, int64_t heads, int64_t depth, int64_t value,
           bool all_taps) {
    const int64_t reach = (window - 1) / 2;
    for (int64_t n = 0; n < side * side; ++n) {
      for (int64_t m = 0; m < side * side; ++m) {
        const bool seen =
            std::abs(m / side - n / side) <= reach && std::abs(m % side - n % side) <= reach;
        if (!seen) continue;
        if (!all_taps) published += depth * value;
        score_first += heads * (depth + value);
      }
      if (all_taps) published += window * window * depth * value;
      published += heads * depth * value;  // the lambda applied to the queries
    }
  }
  double saved() const { return static_cast<double>(published) / static_cast<double>(score_first); }
};

TEST_CASE("scores first takes 2 to 3.6 times fewer products than the published order") {
  // The stages of a LambdaResNet-50 at 32x32 with 4 heads of depth 16: side of the map, channels.
  struct Stage {
    int64_t side, value;
    double at_least, at_most;
  };
  for (const Stage& stage : {Stage{32, 16, 2.0, 2.1}, Stage{16, 32, 2.6, 2.8},
                             Stage{8, 64, 3.2, 3.6}, Stage{4, 128, 3.5, 4.5}}) {
    const Products global(stage.side, 2 * stage.side - 1, 4, 16, stage.value, false);
    CHECK(global.saved() >= stage.at_least);
    CHECK(global.saved() <= stage.at_most);
    const Products convolution(stage.side, 23, 4, 16, stage.value, true);
    CHECK(convolution.saved() > global.saved());  // which multiplies zeros as well
  }
}

TEST_CASE(
    "the kernel multiplies as rarely as counted, its tiles' "
    "edges and the content lambda included") {
  struct Stage {
    int64_t side, value;
    double saved;
  };
  for (const Stage& stage : {Stage{16, 32, 2.5}, Stage{8, 64, 2.7}, Stage{4, 128, 2.0}}) {
    constexpr int64_t kBatch = 4;
    const int64_t side = stage.side, reach = 2 * side - 1;
    const auto there = [&](const Shape& shape) {
      return random_tensor(shape, 1, DType::bf16).to(kDevice);
    };
    const Tensor q = there({kBatch, side, side, 4 * 16}), keys = there({kBatch, side, side, 16});
    const Tensor values = there({kBatch, side, side, stage.value}),
                 embedding = there({reach, reach, 16, 1});
    const uint64_t before = emulator::statistics().products;
    lambda_layer(q, keys, values, embedding, {},
                 {.heads = 4, .depth = 16, .order = LambdaOrder::score_first});
    const auto executed = static_cast<double>(emulator::statistics().products - before) / kBatch;
    const Products position(side, reach, 4, 16, stage.value, false);
    const auto content = static_cast<double>(side * side * 16 * stage.value);
    INFO("map of ", side, ": ", executed, " products an image, published ",
         static_cast<double>(position.published) + content);
    CHECK(executed >= static_cast<double>(position.score_first));
    CHECK(static_cast<double>(position.published) + content >= stage.saved * executed);
  }
}

}  // namespace
}  // namespace passband
