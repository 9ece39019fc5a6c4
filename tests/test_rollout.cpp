// Rollout in all its forms: closed forms, naive products of matrices, and whole networks with known
// weights.
#include <doctest/doctest.h>

#include <cmath>

#include "analysis/relevance/block_transport.h"
#include "analysis/relevance/perturbation.h"
#include "analysis/relevance/rollout.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tests/numeric.h"

using namespace passband;
using numeric::max_difference;

namespace {

using Matrix = std::vector<double>;  // T x T

TapSite grid(int64_t side, int64_t prefix = 0, int64_t window = 0, int64_t shift = 0) {
  TapSite site;
  site.path = "block.attention";
  site.name = "attention";
  site.kind = BlockKind::msa;
  site.height = site.width = side;
  site.prefix = prefix;
  site.window = window;
  site.shift = shift;
  return site;
}

std::vector<float> uniform(int64_t tokens, int64_t matrices = 1) {
  return std::vector<float>(static_cast<size_t>(matrices * tokens * tokens),
                            1.0f / static_cast<float>(tokens));
}

// Row-stochastic random matrices.
std::vector<float> random_attention(int64_t tokens, int64_t matrices, uint64_t seed) {
  std::vector<float> a(static_cast<size_t>(matrices * tokens * tokens));
  for (size_t i = 0; i < a.size(); ++i) a[i] = random_uniform({seed, 0, 1}, i) + 0.01f;
  for (size_t row = 0; row < a.size(); row += static_cast<size_t>(tokens)) {
    float total = 0;
    for (int64_t j = 0; j < tokens; ++j) total += a[row + static_cast<size_t>(j)];
    for (int64_t j = 0; j < tokens; ++j) a[row + static_cast<size_t>(j)] /= total;
  }
  return a;
}

Matrix product(const Matrix& a, const Matrix& b, int64_t n) {
  Matrix c(a.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t k = 0; k < n; ++k)
        c[static_cast<size_t>(i * n + j)] +=
            a[static_cast<size_t>(i * n + k)] * b[static_cast<size_t>(k * n + j)];
  return c;
}

std::vector<double> unit(int64_t size, int64_t at) {
  std::vector<double> v(static_cast<size_t>(size));
  v[static_cast<size_t>(at)] = 1;
  return v;
}

// What a layer does to relevance, as a matrix: the unit vectors are carried down side by side.
Transport attention_transport(const TapSite& site, int64_t heads,
                              const std::vector<float>& probabilities,
                              const std::vector<float>& gradients,
                              const AttentionStepOptions& options) {
  const int64_t places = site.prefix + site.height * site.width;
  const int64_t tokens =
      site.prefix + (site.window > 0 ? site.window * site.window : site.height * site.width);
  const auto copies = [&](const std::vector<float>& one) {
    const Shape shape{std::ssize(one) / (heads * tokens * tokens), heads, tokens, tokens};
    const Tensor all = Tensor::from(one, shape);
    return one.empty() ? Tensor{}
                       : concat(std::vector<Tensor>(static_cast<size_t>(places), all), 0);
  };
  std::vector<double> units(static_cast<size_t>(places * places));
  for (int64_t i = 0; i < places; ++i) units[static_cast<size_t>(i * (places + 1))] = 1;
  const AttentionStep step(site, copies(probabilities), copies(gradients), options);
  return Transport::dense(places, places,
                          step.carry(Tensor::from(units, {places, places}, DType::f64)).values());
}

// steps[l] leads from layer l + 1 down to layer l.
std::vector<double> roll_down(const std::vector<Transport>& steps, std::vector<double> start) {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) start = step->carry(start);
  return start;
}

}  // namespace

TEST_CASE("rollout of L uniform layers is 2^-L I + (1 - 2^-L) / T") {
  for (const auto& [depth, tokens, off, diagonal] :
       {std::tuple{12, 197, 0.005074902839467, 0.005319043464467},
        std::tuple{12, 65, 0.015380859375, 0.015625}, std::tuple{6, 50, 0.0196875, 0.0353125}}) {
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(tokens - 1)));
    const std::vector<float> a = uniform(tokens);
    const std::vector<Transport> steps(static_cast<size_t>(depth),
                                       attention_transport(grid(side, 1), 1, a, {}, {}));
    const std::vector<double> row = roll_down(steps, unit(tokens, 0));
    CHECK(row[0] == doctest::Approx(diagonal).epsilon(1e-6));
    CHECK(row[5] == doctest::Approx(off).epsilon(1e-6));
  }
}

TEST_CASE("rollout of attention to itself is the identity, of a cyclic shift binomial") {
  std::vector<float> identity(100), shift(100);
  for (size_t i = 0; i < 10; ++i) identity[i * 10 + i] = shift[i * 10 + (i + 1) % 10] = 1;
  const TapSite site = grid(3, 1);
  const std::vector<Transport> still(3, attention_transport(site, 1, identity, {}, {}));
  CHECK(roll_down(still, unit(10, 4)) == unit(10, 4));
  const std::vector<Transport> moving(3, attention_transport(site, 1, shift, {}, {}));
  const std::vector<double> row = roll_down(moving, unit(10, 0));
  const double expected[] = {1.0 / 8, 3.0 / 8, 3.0 / 8, 1.0 / 8, 0};
  for (size_t k = 0; k < 5; ++k) CHECK(row[k] == doctest::Approx(expected[k]).epsilon(1e-12));
}

TEST_CASE("the vector form equals the product of matrices, for every fusion of heads") {
  const int64_t tokens = 17, heads = 3;
  for (const Fusion fusion : {Fusion::mean, Fusion::max, Fusion::min}) {
    Matrix whole;
    std::vector<Transport> steps;
    for (uint64_t layer = 0; layer < 4; ++layer) {
      const std::vector<float> a = random_attention(tokens, heads, layer);
      Matrix step(static_cast<size_t>(tokens * tokens));
      for (int64_t i = 0; i < tokens; ++i) {
        double total = 0;
        for (int64_t j = 0; j < tokens; ++j) {
          const auto at = [&](int64_t h) {
            return static_cast<double>(a[static_cast<size_t>((h * tokens + i) * tokens + j)]);
          };
          const double fused = fusion == Fusion::mean  ? (at(0) + at(1) + at(2)) / 3
                               : fusion == Fusion::max ? std::max({at(0), at(1), at(2)})
                                                       : std::min({at(0), at(1), at(2)});
          total += step[static_cast<size_t>(i * tokens + j)] = fused + (i == j);
        }
        for (int64_t j = 0; j < tokens; ++j) step[static_cast<size_t>(i * tokens + j)] /= total;
      }
      whole = layer == 0 ? step : product(step, whole, tokens);
      steps.push_back(attention_transport(grid(4, 1), heads, a, {}, {.fusion = fusion}));
      for (const double sum : steps.back().row_sums())
        CHECK(sum == doctest::Approx(1).epsilon(1e-12));
    }
    const std::vector<double> row = roll_down(steps, unit(tokens, 3));
    CHECK(max_difference(row, Matrix(whole.begin() + 3 * tokens, whole.begin() + 4 * tokens)) <
          1e-12);
  }
}

TEST_CASE(
    "discard drops the smallest share of all entries and keeps attention to the class token") {
  // Mean of one head; the class column (0) is kept although its entries are the smallest.
  const std::vector<float> a = {0.1f,  0.2f,  0.3f,  0.2f,  0.2f,  //
                                0.05f, 0.35f, 0.25f, 0.15f, 0.2f, 0.02f, 0.18f, 0.4f, 0.3f, 0.1f,
                                0.03f, 0.07f, 0.5f,  0.2f,  0.2f, 0.01f, 0.09f, 0.3f, 0.5f, 0.1f};
  const Matrix ours = attention_transport(grid(2, 1), 1, a, {}, {.discard = 0.4}).values();
  CHECK(ours[5] > 0);    // 0.05 to the class token
  CHECK(ours[13] > 0);   // 0.3 stays
  CHECK(ours[16] == 0);  // 0.07 goes
  const Matrix script =
      attention_transport(grid(2, 1), 1, a, {}, {.discard = 0.4, .vit_explain = true}).values();
  CHECK(script[5] == 0);
  CHECK(script[0] > 0);
  double row = 0;
  for (size_t j = 0; j < 5; ++j) row += ours[5 + j];
  CHECK(row == doctest::Approx(1));
}

TEST_CASE("the script's normalisation divides columns by row sums and differs only when rows do") {
  const std::vector<float> a = random_attention(5, 2, 9);
  const Matrix right = attention_transport(grid(2, 1), 2, a, {}, {}).values();
  const Matrix script = attention_transport(grid(2, 1), 2, a, {}, {.vit_explain = true}).values();
  CHECK(max_difference(right, script) < 1e-6);
  const Transport fused =
      attention_transport(grid(2, 1), 2, a, {}, {.fusion = Fusion::max, .vit_explain = true});
  double worst = 0;
  for (const double sum : fused.row_sums()) worst = numeric::worse(worst, std::abs(sum - 1));
  CHECK(worst > 1e-3);
}

TEST_CASE(
    "the class-specific rule is R + mean_h (A dA)^+ R and the "
    "gradient rule clamps after the mean") {
  const int64_t tokens = 9, heads = 2;
  const std::vector<float> a = random_attention(tokens, heads, 3);
  std::vector<float> g(a.size());
  for (size_t i = 0; i < g.size(); ++i) g[i] = random_uniform({4, 0, 1}, i) - 0.5f;
  const Matrix specific =
      attention_transport(grid(3), heads, a, g, {.rule = RolloutRule::class_specific}).values();
  const Matrix gradient =
      attention_transport(grid(3), heads, a, g, {.rule = RolloutRule::gradient}).values();
  for (int64_t i = 0; i < tokens; ++i) {
    double total = 0;
    std::vector<double> row(static_cast<size_t>(tokens));
    for (int64_t j = 0; j < tokens; ++j) {
      double clamped = 0, mean = 0;
      for (int64_t h = 0; h < heads; ++h) {
        const auto at = static_cast<size_t>((h * tokens + i) * tokens + j);
        const double p = static_cast<double>(a[at]) * static_cast<double>(g[at]);
        clamped += std::max(p, 0.0) / heads;
        mean += p / heads;
      }
      CHECK(specific[static_cast<size_t>(i * tokens + j)] ==
            doctest::Approx(clamped + (i == j)).epsilon(1e-12));
      total += row[static_cast<size_t>(j)] = std::max(mean, 0.0) + (i == j);
    }
    for (int64_t j = 0; j < tokens; ++j)
      CHECK(gradient[static_cast<size_t>(i * tokens + j)] ==
            doctest::Approx(row[static_cast<size_t>(j)] / total).epsilon(1e-12));
  }
}

TEST_CASE("one window that covers the map rolls out like global attention") {
  const std::vector<float> a = random_attention(16, 2, 5);
  CHECK(max_difference(attention_transport(grid(4), 2, a, {}, {}).values(),
                       attention_transport(grid(4, 0, 4), 2, a, {}, {}).values()) == 0);
}

TEST_CASE("windows are S^T blockdiag(A_w) S, the cyclic shift S undone") {
  const int64_t side = 6, window = 3, shift = 1, tokens = window * window;
  const std::vector<float> a = random_attention(tokens, 4, 6);
  const Matrix values = attention_transport(grid(side, 0, window, shift), 1, a, {}, {}).values();
  // Naive: where a pixel goes when the map is rolled by -shift, then cut into windows.
  const auto place = [&](int64_t pixel) {
    const int64_t y = (pixel / side - shift + side) % side,
                  x = (pixel % side - shift + side) % side;
    return std::pair{y / window * (side / window) + x / window, y % window * window + x % window};
  };
  double worst = 0;
  for (int64_t i = 0; i < side * side; ++i)
    for (int64_t j = 0; j < side * side; ++j) {
      const auto [wi, ti] = place(i);
      const auto [wj, tj] = place(j);
      double expected = 0.5 * (i == j);
      if (wi == wj)
        expected +=
            0.5 * static_cast<double>(a[static_cast<size_t>((wi * tokens + ti) * tokens + tj)]);
      worst = numeric::worse(worst,
                             std::abs(values[static_cast<size_t>(i * side * side + j)] - expected));
    }
  CHECK(worst < 1e-7);
}

TEST_CASE("a coarser grid spreads its relevance over the area of its cells") {
  const Transport even = area_transport(grid(2), grid(4));
  const std::vector<double> quarter = even.carry({1, 0, 0, 0});
  for (const size_t cell : {0u, 1u, 4u, 5u}) CHECK(quarter[cell] == doctest::Approx(0.25));
  const Transport odd = area_transport(grid(2), grid(3));  // 1.5 cells each
  const std::vector<double> corner = odd.carry({1, 0, 0, 0});
  CHECK(corner[0] == doctest::Approx(4.0 / 9));
  CHECK(corner[1] == doctest::Approx(2.0 / 9));
  CHECK(corner[4] == doctest::Approx(1.0 / 9));
  for (const double sum : odd.row_sums()) CHECK(sum == doctest::Approx(1));
}

TEST_CASE("a strided block that attends before it strides is entered at its own resolution") {
  // In the trunk's last block 2 x 2 places of 16 attend over 4 x 4; then back to the block before.
  const auto model = make_model("C.B:bottleneck,width=4,head_dim=4", {.image_size = 8, .seed = 1});
  Tensor images = Tensor::empty({1, 8, 8, 3});
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data<float>()[i] = random_normal({1, 0, site_of("pictures")}, static_cast<uint64_t>(i));
  const RelevanceMaps maps = rollouts(*model, images, {RolloutSettings{}})[0];
  double total = 0;
  for (const double cell : maps.values) total += cell;
  CHECK(total == doctest::Approx(1));
}
