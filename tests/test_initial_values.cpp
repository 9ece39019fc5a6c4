// Initial values in the place of a network's own: what convolutions, attention and positions begin
// as, in closed form.
#include "models/initial_values.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "nn/tap.h"
#include "tensor/ops/conv.h"
#include "tensor/ops/decompositions.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/message_of.h"
#include "tests/numeric.h"
#include "train/config.h"

using namespace passband;
using numeric::max_error;

namespace {

std::unique_ptr<Model> begun(const std::string& name, const std::string& init,
                             const std::string& positions = "standard", uint64_t seed = 3) {
  auto model = make_model(name, {.image_size = 16, .seed = seed});
  initialise(*model, initial_values_from(init, positions), seed);
  return model;
}

// In f64.
Tensor weight(const Model& model, const std::string& name) {
  for (const ParameterRef& p : model.store().parameters())
    if (p->name == name) return cast(p->value.detach(), DType::f64);
  throw Error("no parameter " + name);
}

// Rows [first, first + count).
Tensor part(const Tensor& matrix, int64_t first, int64_t count) {
  return slice(matrix, 0, first, count);
}

// a^T b.
Tensor product(const Tensor& a, const Tensor& b) { return matmul(a, b, {.transpose_a = true}); }

// A product of alpha Z + beta I, (n, n): no entry further from beta I than alpha sqrt(3 / n), and
// their variance alpha^2 / n.
void check_near_identity(const Tensor& matrix, double alpha, double beta) {
  const int64_t n = matrix.size(0);
  std::vector<double> rest = matrix.values();
  for (int64_t i = 0; i < n; ++i) rest[static_cast<size_t>(i * n + i)] -= beta;
  double squares = 0, largest = 0;
  for (const double x : rest) squares += x * x, largest = std::max(largest, std::abs(x));
  const double size = static_cast<double>(n), most = alpha * std::sqrt(3 / size);
  CHECK(largest < most + 1e-6);
  CHECK(largest > 0.8 * most);
  CHECK(squares / (size * size) == doctest::Approx(alpha * alpha / size).epsilon(4 / size));
}

// The token of a 4 x 4 grid that a head looks at (itself, above, right, left); -1 outside.
int64_t neighbour_of(int64_t head, int64_t token) {
  constexpr int64_t kSide = 4, kTo[4][2] = {{0, 0}, {-1, 0}, {0, 1}, {0, -1}};
  const int64_t y = token / kSide + kTo[head][0], x = token % kSide + kTo[head][1];
  return y < 0 || y >= kSide || x < 0 || x >= kSide ? -1 : y * kSide + x;
}

}  // namespace

TEST_CASE("dirac filters pass their channels on, and the first convolution stays") {
  const auto model = begun("C.CD:width=8,kernel=5", "dirac"),
             own = make_model("C.CD:width=8,kernel=5", {.image_size = 16, .seed = 3});
  CHECK(max_error(weight(*model, "conv1.weight"), weight(*own, "conv1.weight")) == 0);
  const Tensor x = Tensor::randn({2, 6, 6, 8}, {1, 2, 3}, DType::f64);
  const auto passed = [&](const char* name, int64_t groups) {
    const Tensor w = weight(*model, name);
    return conv2d(x, w, {}, {.stride = 1, .padding = w.size(1) / 2, .groups = groups});
  };
  CHECK(max_error(passed("layer1.0.conv1.weight", 1), x) == 0);
  // twice as many filters as channels: the rest is as it was
  const Tensor wider = passed("layer2.0.conv1.weight", 1);
  CHECK(max_error(slice(wider, 3, 0, 8), x) == 0);
  const char* const name = "layer2.0.conv1.weight";
  CHECK(max_error(part(weight(*model, name), 8, 8), part(weight(*own, name), 8, 8)) == 0);
  for (const ParameterRef& p : model->store().parameters()) {
    if (p->groups == 1) continue;  // a filter for each channel
    const Tensor many = Tensor::randn({1, 7, 7, p->shape[0]}, {4, 5, 6}, DType::f64);
    CHECK(max_error(conv2d(many, weight(*model, p->name), {},
                           {.stride = 1, .padding = p->shape[1] / 2, .groups = p->groups}),
                    many) == 0);
  }
}

TEST_CASE(
    "mimetic attention: q k^T is near the identity, values and projection near its negative") {
  // One head as wide as the network: the products are whole.
  const auto model = begun("CM:width=32,head_dim=32,heads=1", "mimetic");
  const auto layer =
      std::ranges::find_if(model->store().parameters(), [](const auto& p) { return p->heads > 0; });
  REQUIRE(layer != model->store().parameters().end());
  const Tensor packed = weight(*model, (*layer)->name);
  REQUIRE(packed.shape() == Shape{96, 32});
  const Tensor queries = part(packed, 0, 32), keys = part(packed, 32, 32);
  check_near_identity(product(queries, keys), 0.7, 0.7);
  // the decomposition is shared evenly
  CHECK(max_error(matmul(queries, queries, {.transpose_b = true}),
                  matmul(keys, keys, {.transpose_b = true})) < 1e-5);

  const auto vit = begun("vit_128x6_patch4_gap", "mimetic");
  const Tensor qkv = weight(*vit, "blocks.2.attn.qkv.weight");
  check_near_identity(
      product(part(qkv, 256, 128), transpose(weight(*vit, "blocks.2.attn.proj.weight"), 0, 1)), 0.4,
      -0.4);
  for (int64_t head = 0; head < 4; ++head) {
    // of rank 32, with the singular values that it keeps in both parts
    const Tensor q = part(qkv, 32 * head, 32), k = part(qkv, 128 + 32 * head, 32);
    const std::vector<double> sigma = singular_values(product(q, k));
    CHECK(sigma[31] > 0.5);
    CHECK(sigma[32] < 1e-5);
    for (size_t i = 0; i < 32; ++i)
      CHECK(sum(square(part(q, static_cast<int64_t>(i), 1))).item() ==
            doctest::Approx(sigma[i]).epsilon(1e-4));
  }
}

TEST_CASE("structured attention looks at each token's neighbour, by its position alone") {
  for (const char* positions : {"standard", "sincos"}) {
    CAPTURE(positions);
    const auto vit = begun("vit_128x6_patch4_gap", "structured", positions);
    Tensor p = reshape(weight(*vit, "pos_embed"), {16, 128});
    p = p - mean(p, {1}, true);
    p = p * rsqrt(mean(square(p), {1}, true) + 1e-6);
    const Tensor qkv = weight(*vit, "blocks.4.attn.qkv.weight");
    for (int64_t head = 0; head < 4; ++head) {
      const Tensor q = part(qkv, 32 * head, 32), k = part(qkv, 128 + 32 * head, 32);
      CHECK(sum(square(q)).item() == doctest::Approx(49).epsilon(1e-4));
      const std::vector<double> logits =
          matmul(matmul(p, product(q, k)), p, {.transpose_b = true}).values();
      for (int64_t from = 0; from < 16; ++from) {
        const int64_t to = neighbour_of(head, from);
        if (to < 0) continue;
        const auto row = logits.begin() + from * 16;
        CHECK(std::max_element(row, row + 16) - row == to);
      }
    }
    check_near_identity(
        product(part(qkv, 256, 128), transpose(weight(*vit, "blocks.4.attn.proj.weight"), 0, 1)),
        0.4, -0.4);
  }
}

TEST_CASE("in the network, on pictures, structured attention begins as a shift") {
  // The share of a head's probability that lies on its neighbour, mean over tokens that have one.
  const auto shares = [](const Model& model) {
    Tensor maps;  // (N, 4, 16, 16)
    const ProbeGuard guard({"attention"}, [&](const TapSite&, const Tensor& map) {
      if (!maps) maps = map;
      return map;
    });
    const ContextGuard mode({.training = false});
    model(Tensor::randn({2, 16, 16, 3}, {7, 8, 9}));
    std::vector<double> sums(4), counts(4);
    for (int64_t row = 0; row < 2 * 4 * 16; ++row) {
      const int64_t head = row / 16 % 4, to = neighbour_of(head, row % 16);
      if (to < 0) continue;
      sums[static_cast<size_t>(head)] += maps.data<float>()[row * 16 + to];
      counts[static_cast<size_t>(head)] += 1;
    }
    for (size_t head = 0; head < 4; ++head) sums[head] /= counts[head];
    return sums;
  };
  for (const double share :
       shares(*make_model("vit_128x6_patch4_gap", {.image_size = 16, .seed = 3})))
    CHECK(share < 0.1);
  for (const double share : shares(*begun("vit_128x6_patch4_gap", "structured")))
    CHECK(share > 0.9);
}

TEST_CASE("structured attention in windows looks at neighbours by relative positions") {
  struct Layer {
    std::string model;
    int64_t number;
    bool table_a_head;
  };
  // Key minus query, shared by the heads; then query minus key.
  for (const auto& [name, layer, table_a_head] :
       {Layer{"C.MMM:width=8,head_dim=8,heads=2,window=4,stride=2", 0, false},
        Layer{"C.MMM:width=8,head_dim=8,heads=2,window=4,stride=2", 1, false},
        Layer{"C.W:width=8,head_dim=4,heads=2,window=4", 0, true}}) {
    CAPTURE(name);
    CAPTURE(layer);
    const auto model = begun(name, "structured");
    std::vector<Tensor> maps;  // (windows, heads, tokens, tokens)
    const ProbeGuard guard({"attention"}, [&](const TapSite&, const Tensor& map) {
      maps.push_back(map);
      return map;
    });
    const ContextGuard mode({.training = false});
    (*model)(Tensor::randn({2, 16, 16, 3}, {7, 8, 9}));
    const Tensor map = maps.at(static_cast<size_t>(layer));
    const int64_t heads = map.size(1), tokens = map.size(2);
    REQUIRE(tokens == 16);
    for (int64_t row = 0; row < map.size(0) * heads * tokens; ++row) {
      const int64_t from = row % tokens, head = row / tokens % heads;
      const int64_t to = neighbour_of(table_a_head ? head : layer, from);
      if (to >= 0) CHECK(map.data<float>()[row * tokens + to] > 0.9f);
    }
  }
}

TEST_CASE("positions are waves of both coordinates, and tokens on no place have none") {
  const auto model = begun("deit_tiny_patch4", "standard", "sincos");
  const std::vector<double> table = weight(*model, "pos_embed").values();
  for (int64_t i = 0; i < 192; ++i) CHECK(table[static_cast<size_t>(i)] == 0);
  for (const auto& [y, x] : {std::pair{0, 0}, std::pair{2, 3}})
    for (const int64_t i : {0, 20, 47}) {
      const double frequency = std::pow(1e-4, static_cast<double>(i) / 47);
      const double* row = table.data() + (1 + 4 * y + x) * 192;
      CHECK(row[i] == doctest::Approx(std::sin(x * frequency)));
      CHECK(row[48 + i] == doctest::Approx(std::cos(x * frequency)));
      CHECK(row[96 + i] == doctest::Approx(std::sin(y * frequency)));
      CHECK(row[144 + i] == doctest::Approx(std::cos(y * frequency)));
    }
}

TEST_CASE("every family begins as it is told, the same for the same seed") {
  const auto differ = [](const Model& a, const Model& b) {
    return sum(abs(a.store().values() - b.store().values())).item() > 0;
  };
  for (const char* name : {"vit", "cct_2_3x2", "convvit_tiny_kernel3", "pit_ti",
                           "C.MWSB:width=16,head_dim=8,heads=2,window=2"}) {
    CAPTURE(name);
    const bool pattern = name[1] == '.';
    const char* const init = pattern ? "dirac,mimetic" : "structured";
    const auto model = begun(name, init);
    CHECK(std::isfinite(sum(square(model->store().values())).item()));
    CHECK(differ(*model, *make_model(name, {.image_size = 16, .seed = 3})));
    if (!pattern && name != std::string("cct_2_3x2")) continue;
    CHECK_FALSE(differ(*model, *begun(name, init)));
    CHECK(differ(*model, *begun(name, init, "standard", 4)));
  }
}

TEST_CASE("what cannot begin so says why") {
  const auto message = [](const char* name, const char* init, const char* positions = "standard") {
    return message_of<UsageError>([&] { begun(name, init, positions); });
  };
  CHECK(message("vit", "mimic").find("init: 'mimic' is not one of standard, dirac") == 0);
  CHECK(message("vit", "mimetic,structured").find("give one") != std::string::npos);
  CHECK(message("C.C:width=8", "mimetic").find("no self-attention") != std::string::npos);
  CHECK(message("twins_svt_small", "structured").find("no table of positions") !=
        std::string::npos);
  CHECK(message("vit", "dirac").find("no convolution after its first") != std::string::npos);
  CHECK(message("C.C:width=8", "standard", "sincos").find("positions: ") == 0);
  CHECK(message_of<UsageError>([] {
          resolve({{"model", "vit"}, {"init", "mimetic"}, {"weights", "a.safetensors"}});
        }).find("init and positions") == 0);
}
