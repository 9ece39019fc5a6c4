// The sections on relevance and on what layers keep, run as the program runs them, on small
// networks with known weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "analysis/registry.h"
#include "analysis/relevance/faithfulness.h"
#include "analysis/relevance/hydra_maps.h"
#include "analysis/relevance/hydra_maps_section.h"
#include "analysis/relevance/lambda_maps.h"
#include "analysis/relevance/value_contributions.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tests/tiny_network.h"

using namespace passband;

namespace {

Dataset noise_pictures(int64_t count, int64_t side, const std::string& split) {
  Dataset data{.name = "noise", .split = split, .count = count, .height = side, .width = side};
  data.classes = {"a", "b", "c"};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.25f, 0.25f, 0.25f};
  const uint64_t site = site_of(split);
  for (int64_t n = 0; n < count; ++n) data.labels.push_back(static_cast<int32_t>(n % 3));
  for (int64_t i = 0; i < count * side * side * 3; ++i)
    data.images.push_back(
        static_cast<uint8_t>(255 * random_uniform({1, 0, site}, static_cast<uint64_t>(i))));
  return data;
}

struct Fixture {
  Dataset test, train;
  AnalysisInput input;

  explicit Fixture(const std::vector<std::string>& models, int64_t side = 8)
      : test(noise_pictures(160, side, "test")), train(noise_pictures(120, side, "train")) {
    for (const std::string& name : models)
      input.subjects.push_back(
          {name, make_model(name, {.classes = 3, .image_size = side, .seed = 2}), name});
    input.data = &test;
    input.train = &train;
  }

  Section run(const std::string& name, const std::map<std::string, std::string>& settings = {}) {
    const Analysis& analysis = find_analysis(name);
    return run_analysis(analysis, with_settings(input, analysis, settings));
  }
};

double value_of(const Section& section, const std::string& key) {
  const auto found = std::ranges::find(section.values, key, &ReportValue::key);
  REQUIRE(found != section.values.end());
  return found->value;
}

void fill(const Model& model, const std::string& suffix, double value) {
  for (const ParameterRef& p : model.store().parameters())
    if (p->name.ends_with(suffix)) fill_(p->value, value);
}

const char* const kHybrid = "C.CM:basic,width=8,heads=1,head_dim=4,window=2";
const char* const kLambda = "C.L:basic,width=8,scope=3";

void check_section(const Section& section) {
  CAPTURE(section.name);
  CHECK(!section.finding.empty());
  CHECK(!section.question.empty());
  CHECK(!section.reading.empty());
  CHECK(!section.figures.empty());
  for (const plot::Figure& figure : section.figures) CHECK_NOTHROW(plot::check(figure));
}

// By picture of the data set what the network reads from it, of `shown` alone, as one batch.
std::vector<int64_t> read_from(const Model& model, const Dataset& data,
                               const std::vector<int64_t>& shown) {
  std::vector<int64_t> read(static_cast<size_t>(data.count));
  const std::vector<int64_t> classes = classes_read(model, network_images(model, data, shown));
  for (size_t i = 0; i < shown.size(); ++i) read[static_cast<size_t>(shown[i])] = classes[i];
  return read;
}

// That every picture and map is marked where the class read from it is not its own; how many were
// right, and how many wrong.
std::array<int64_t, 2> check_marks(const Section& section, const Dataset& data,
                                   const std::vector<int64_t>& read) {
  std::array<int64_t, 2> seen{};
  for (const plot::Figure& figure : section.figures)
    for (const plot::Picture& cell : figure.pictures.cells) {
      CAPTURE(cell.alt);
      const auto shown = static_cast<size_t>(std::stoll(cell.alt.substr(cell.alt.rfind(' '))));
      CHECK(cell.wrong == (data.labels[shown] != read[shown]));
      ++seen[cell.wrong];
    }
  return seen;
}

}  // namespace

TEST_CASE("every section on relevance draws valid figures for the networks it applies to") {
  Fixture networks({kHybrid, "vit_tiny_patch4"});
  networks.input.images = 2;
  for (const char* name :
       {"rollout", "rollout-gradient", "rollout-class", "rollout-norm", "channel-rollout"}) {
    CAPTURE(name);
    check_section(networks.run(name, {{"rollout.pictures", "2"},
                                      {"rollout-gradient.pictures", "2"},
                                      {"rollout-class.pictures", "2"},
                                      {"channel-rollout.groups", "4"}}));
  }
}

TEST_CASE(
    "sections on what layers keep draw valid figures for "
    "convolutions, attention and lambda layers") {
  Fixture networks({kHybrid, kLambda, "vit_tiny_patch4_gap"});
  networks.input.images = 64;
  for (const char* name : {"localisation", "skip", "probes"}) {
    CAPTURE(name);
    check_section(networks.run(
        name, {{"probes.train", "60"}, {"probes.validation", "30"}, {"probes.shots", "3"}}));
  }
}

TEST_CASE(
    "rollout says why it leaves a lambda network out, and the maps of its weights apply instead") {
  Fixture networks({kLambda});
  networks.input.images = 2;
  const Section rollout = networks.run("rollout");
  CHECK(rollout.figures.empty());
  CHECK(rollout.finding.find("signed") != std::string::npos);
  CHECK(rollout.finding.find("lambda-maps") != std::string::npos);
  check_section(networks.run("lambda-maps"));
  Fixture attention({"vit_tiny_patch4"});
  CHECK(attention.run("lambda-maps").figures.empty());
  Fixture plain({"C.C:basic,width=8"});
  CHECK(plain.run("rollout-class").finding.find("rollout-norm") != std::string::npos);
}

TEST_CASE(
    "uniform attention in every layer rolls out flat: the "
    "brightest quarter holds its share of cells") {
  Fixture networks({"vit_tiny_patch4"}, 16);
  fill(*networks.input.subjects[0].model, "attn.qkv.weight", 0);
  fill(*networks.input.subjects[0].model, "attn.qkv.bias", 0);
  networks.input.images = 4;
  CHECK(value_of(networks.run("rollout"), "concentration") == doctest::Approx(0.25).epsilon(1e-5));
}

TEST_CASE(
    "branches of zeros leave shortcuts everything: removing the "
    "first leaves chance, the ratio has no tokens") {
  Fixture networks({"vit_tiny_patch4_gap"});
  const Model& model = *networks.input.subjects[0].model;
  for (const char* name : {"attn.proj.weight", "attn.proj.bias", "mlp.fc2.weight", "mlp.fc2.bias"})
    fill(model, name, 0);
  networks.input.images = 160;
  const Section section = networks.run("skip");
  // Equal logits for every picture, so the first class is read: 54 of the 160 pictures.
  CHECK(value_of(section, "worst_removal") == doctest::Approx(54.0 / 160));
  CHECK(section.figures[1].panels[0].lines[0].y[0] == 0);
  // No block has a length to compare with; what shortcuts are worth is a point for each of 24.
  REQUIRE(section.figures[0].panels.size() == 1);
  const plot::Points& points = section.figures[0].panels[0].points.at(0);
  REQUIRE(points.y.size() == 24);
  for (size_t i = 0; i < points.y.size(); ++i) {
    CHECK(points.low[i] <= points.y[i]);
    CHECK(points.high[i] >= points.y[i]);
  }
}

TEST_CASE("every map over a picture that the network gets wrong is marked, and no other") {
  for (const std::string name : {"rollout", "rollout-gradient", "rollout-class", "rollout-norm",
                                 "channel-rollout", "lambda-maps"}) {
    CAPTURE(name);
    Fixture one({name == "lambda-maps" ? kLambda : kHybrid});
    one.input.images = 4;
    const std::vector<int64_t> read =
        read_from(*one.input.subjects[0].model, one.test, spread_indices(160, 160));
    for (size_t i = 0; i < read.size(); ++i)
      one.test.labels[i] = static_cast<int32_t>((read[i] + i / 3 % 2) % 3);
    const Section section = one.run(name, {{"rollout.pictures", "4"},
                                           {"rollout-gradient.pictures", "4"},
                                           {"rollout-class.pictures", "4"},
                                           {"channel-rollout.groups", "4"}});
    const std::array<int64_t, 2> seen = check_marks(section, one.test, read);
    CHECK(seen[0] > 1);
    CHECK(seen[1] > 1);
  }
}

TEST_CASE("without an embedding all weight of a lambda layer is content") {
  Fixture networks({kLambda});
  networks.input.images = 4;
  const double mixed = value_of(networks.run("lambda-maps"), "content_share");
  CHECK(mixed > 0);
  CHECK(mixed < 1);
  fill(*networks.input.subjects[0].model, "lambda_conv.weight", 0);
  CHECK(value_of(networks.run("lambda-maps"), "content_share") == doctest::Approx(1));
}

TEST_CASE("contributions of lambda values add up to what scaling the values does to the logit") {
  const auto model =
      make_model(kLambda, {.classes = 3, .image_size = 8, .seed = 2, .dtype = DType::f64});
  fill(*model, "bn2.weight", 1);  // the branch starts at zero otherwise
  std::vector<double> pixels;
  for (int64_t i = 0; i < 8 * 8 * 3; ++i)
    pixels.push_back(static_cast<double>(random_normal({4, 0, 2}, static_cast<uint64_t>(i))));
  const Tensor image = Tensor::from(pixels, {1, 8, 8, 3}, DType::f64);
  const ValueContributions layer = value_contributions(*model, image, {1}, "lambda_values")[0];
  CHECK(layer.values.size() == 16);
  double total = 0;
  for (const double value : layer.values) total += value;
  const auto excess = [&](double scale) {
    const ContextGuard mode({.training = false});
    const ProbeGuard probe({"lambda_values"},
                           [&](const TapSite&, const Tensor& v) { return v * scale; });
    const std::vector<double> logits = (*model)(image).values();
    return logits[1] - (logits[0] + logits[1] + logits[2]) / 3;
  };
  const double slope = (excess(1 + 1e-5) - excess(1 - 1e-5)) / 2e-5;
  CHECK(total == doctest::Approx(slope).epsilon(1e-4));
  CHECK(std::abs(total) > 1e-6);
}

TEST_CASE("Hydra's contributions are exact, its signs counted, and its naive rollout only shown") {
  constexpr int64_t kSide = 4, kPlaces = 16, kChannels = 3;
  const auto entry = [](int64_t site, int64_t n, int64_t t, int64_t d) {
    return static_cast<double>(
        random_normal({7, 0, static_cast<uint64_t>(site)},
                      static_cast<uint64_t>((n * kPlaces + t) * kChannels + d)));
  };
  const auto drawn = [&](int64_t site, int64_t count) {
    std::vector<double> values;
    for (int64_t i = 0; i < count * kPlaces * kChannels; ++i)
      values.push_back(entry(site, 0, 0, i));
    return Tensor::from(values, {count, kSide, kSide, kChannels});
  };
  // logit c is channel c of the mean over places of y = q sum_s k_s v_s, and the picture's mean.
  const Subject hydra = testing::subject("hydra", kSide, kChannels, [&](const Tensor& images) {
    const int64_t count = images.size(0);
    testing::show("first", images, BlockKind::embedding);
    const ScopeGuard guard("attn");
    const TapSite site{.kind = BlockKind::hydra, .height = kSide, .width = kSide};
    const Tensor q = tap("hydra_query", drawn(1, count), site);
    const Tensor k = tap("hydra_key", drawn(2, count), site);
    const Tensor v = tap("hydra_value", drawn(3, count), site);
    const Tensor y = testing::show("block", q * sum(k * v, {1, 2}, true), BlockKind::hydra);
    return mean(y, {1, 2}) + mean(images, {1, 2}) * 1e-6;
  });
  const auto layer = value_contributions(*hydra.model, Tensor::full({2, kSide, kSide, 3}, 0.5),
                                         {1, 0}, "hydra_value")[0];
  REQUIRE(layer.values.size() == 2 * kPlaces);
  double negative = 0, absolute = 0;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t s = 0; s < kPlaces; ++s) {
      double expected = 0;
      for (int64_t t = 0; t < kPlaces; ++t)
        for (int64_t d = 0; d < kChannels; ++d) {
          const double a = entry(1, n, t, d) * entry(2, n, s, d);
          const double slope = ((d == 1 - n) - 1.0 / 3) / kPlaces;
          expected += slope * a * entry(3, n, s, d);
          absolute += std::abs(a);
          negative += std::max(-a, 0.0);
        }
      CHECK(layer.values[static_cast<size_t>(n * kPlaces + s)] ==
            doctest::Approx(expected).epsilon(1e-4));
    }
  HydraWeights weights;
  weights.add(layer.site, drawn(1, 2), drawn(2, 2));
  CHECK(weights.negative_share() == doctest::Approx(negative / absolute).epsilon(1e-6));
  const std::vector<double> naive = naive_attention(layer.site, drawn(1, 2), drawn(2, 2)).values();
  for (auto row = naive.begin(); row != naive.end(); row += kPlaces)
    CHECK(std::accumulate(row, row + kPlaces, 0.0) == doctest::Approx(1));
  const Dataset data = noise_pictures(8, kSide, "test");
  const Section section = hydra_maps_section({.subjects = {hydra}, .data = &data, .images = 2});
  CHECK(section.finding.starts_with("In 1 Hydra layer of hydra, "));
  CHECK(value_of(section, "negative_share") == doctest::Approx(negative / absolute).epsilon(1e-6));
  REQUIRE(section.figures.size() == 2);
  // Eight rows: the pictures, for and against the class, two channels by sign, the naive rollout.
  const auto [right, wrong] =
      check_marks(section, data, read_from(*hydra.model, data, spread_indices(8, 6)));
  CHECK(right + wrong == 8 * 6);
}

TEST_CASE("a map that a random order beats is said to be beaten") {
  // The area under the probability of ten pictures: the smaller, the faster it falls.
  Faithfulness f{.names = {"good", "idle", "bad", "random order"}};
  f.areas.resize(4);
  for (int n = 0; n < 10; ++n) {
    const double picture = 0.5 + 0.02 * n, sign = n % 2 == 0 ? 1 : -1;
    f.areas[0].push_back(picture - 0.2 + 0.01 * sign);
    f.areas[1].push_back(picture + 0.05 * sign);
    f.areas[2].push_back(picture + 0.2 + 0.01 * sign);
    f.areas[3].push_back(picture);
  }
  CHECK(against_chance(f) ==
        "Against a random order: good does better, idle does no better within the error, "
        "random order beats bad");
}
