// Convolution and attention as ladders.
#include <cmath>

#include <cuda_emulator/device_array.h>

#include "experiments/ladder/inputs.h"
#include "experiments/ladder/ladder.h"
#include "experiments/ladder/steps.h"
#include "tensor/ops/attention/dot_attention.h"
#include "tensor/ops/conv.h"

namespace ladder {

using passband::testing::DeviceArray;

Ladder convolution_ladder(bool small) {
  const int side = small ? 8 : 16, in = 16, out = 32, places = side * side;
  const std::vector<float> x = random_values(places * in, 4, 1.0);
  const std::vector<float> w = random_values(out * 9 * in, 5, 1.0);
  const std::string across = std::to_string(side);
  Ladder ladder{"convolution", across + " x " + across + " places, 16 channels to 32", {}, {}};
  ladder.expected = floats(passband::conv2d(exact(x, {1, side, side, in}),
                                            exact(w, {out, 3, 3, in}), {}, {.padding = 1}));
  const double operations = 2.0 * 9 * in * out * places;
  const auto add = [&](const char* name, const char* change, auto kernel) {
    const auto run = [=] {
      const DeviceArray<float> from(x), filters(w), to(static_cast<size_t>(places * out));
      const DeviceArray<float> scratch(static_cast<size_t>(9 * in * std::max(out, places)));
      if constexpr (std::is_invocable_v<decltype(kernel), float*, float*, float*, int, int, int>)
        kernel(to, from, filters, side, in, out);
      else kernel(to, from, filters, side, in, out, scratch);
      return to.to_host();
    };
    ladder.steps.push_back({name, change, operations, 2e-5, run});
  };
  add("naive", "a thread an element", convolution_1_naive);
  add("turned", "filters as (3, 3, in, out)", convolution_2_turned);
  add("im2col", "windows as a matrix, tiles", convolution_3_im2col);
  add("implicit", "the matrix is never written", convolution_4_implicit);
  add("registers", "4 x 4 results a thread, packs", convolution_5_registers);
  const auto run = [=] {
    const DeviceArray<bf16> from(rounded(x)), filters(rounded(w));
    const DeviceArray<float> to(static_cast<size_t>(places * out));
    convolution_6_tensor_cores(to, from, filters, side, in, out);
    return to.to_host();
  };
  // 144 products, each off by up to 2^-8 of itself: 12 x 2^-8 for one deviation.
  ladder.steps.push_back({"tensor cores", "bf16, zeros by cp.async", operations, 0.2, run});
  return ladder;
}

Ladder attention_ladder(bool small) {
  const int heads = small ? 1 : 2, tokens = small ? 64 : 128, depth = 32;
  const int count = heads * tokens * depth;
  const std::vector<float> q = random_values(count, 6, 1.5), k = random_values(count, 7, 1.5);
  const std::vector<float> v = random_values(count, 8, 1.0);
  const std::string lengths = std::to_string(heads) + " of " + std::to_string(tokens);
  Ladder ladder{"attention", "heads: " + lengths + " tokens, depth 32", {}, {}};
  const auto tensor = [&](const std::vector<float>& values) {
    return exact(values, {1, heads, tokens, depth});
  };
  ladder.expected = floats(passband::scaled_dot_product_attention(tensor(q), tensor(k), tensor(v)));
  // Of each score: 2 d for it, 2 d for its value, and 7 as softmax's step 1.
  const double operations = 1.0 * heads * tokens * tokens * (4 * depth + 7);
  const auto add = [&](const char* name, const char* change, auto kernel) {
    const auto run = [=] {
      const DeviceArray<float> queries(q), keys(k), values(v), to(q.size());
      const DeviceArray<float> scratch(static_cast<size_t>(heads * tokens * tokens));
      if constexpr (std::is_invocable_v<decltype(kernel), float*, float*, float*, float*, int, int>)
        kernel(to, queries, keys, values, heads, tokens);
      else kernel(to, queries, keys, values, heads, tokens, scratch);
      return to.to_host();
    };
    ladder.steps.push_back({name, change, operations, 5e-6, run});
  };
  add("naive", "scores, softmax, weighted sum", attention_1_naive);
  add("fused", "a warp keeps its row of scores", attention_2_fused);
  add("tiles", "shared keys, running softmax", attention_3_tiles);
  add("padding", "33 words a row", attention_4_padding);
  const auto run = [=] {
    const DeviceArray<bf16> queries(rounded(q)), keys(rounded(k)), values(rounded(v));
    const DeviceArray<float> to(q.size());
    attention_5_tensor_cores(to, queries, keys, values, heads, tokens);
    return to.to_host();
  };
  ladder.steps.push_back({"tensor cores", "bf16, scores stay in registers", operations, 0.1, run});
  return ladder;
}

}  // namespace ladder
