// Whole analyses of similarity, frequency, variance and reach on networks whose answers are known.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/similarity/head_similarity.h"
#include "analysis/similarity/kernel_maps.h"
#include "analysis/study/depth_axis.h"
#include "analysis/study/study.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"

using namespace passband;
using namespace passband::testing;

namespace {

// A network's answer from nothing but the mean of the picture: class 1 when it is positive.
Tensor by_brightness(const Tensor& images) {
  const Tensor brightness = mean(images, {1, 2, 3});
  const Shape column{images.size(0), 1};
  return concat({reshape(-brightness, column), reshape(brightness, column)}, 1);
}

// Half of the pictures dark, half bright, by their labels; no clipping at +-4 of noise.
Dataset dark_and_bright(int64_t count, int64_t size) {
  Dataset data = random_pictures(count, size, 2, 3);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t k = 0; k < data.image_bytes(); ++k)
      data.images[static_cast<size_t>(i * data.image_bytes() + k)] =
          data.labels[static_cast<size_t>(i)] == 1 ? 140 : 115;
  return data;
}

// Three layers: a copy of the picture, the same scaled, and a constant.
Subject copies(const std::string& label, double scale) {
  return subject(label, 8, 2, [=](const Tensor& images) {
    show("first", images);
    show("scaled", images * scale);
    show("constant", Tensor::full(images.shape(), 3.0));
    return by_brightness(images);
  });
}

const plot::Heatmap& heatmap_of(const Section& section, size_t figure, size_t panel) {
  return *section.figures.at(figure).panels.at(panel).heatmap;
}

bool says(const std::vector<std::string>& texts, const std::string& part) {
  return std::ranges::any_of(
      texts, [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE(
    "cka of a layer and its multiple is 1, a constant layer is named dead and has no number") {
  const Dataset data = random_pictures(64, 8, 2, 1);
  const Section section =
      run_named("cka", {copies("a", 5), copies("b", -2)}, data, {{"cka.batch", "16"}});
  for (size_t panel = 0; panel < 3; ++panel) {  // itself twice, and one against the other
    const plot::Heatmap& map = heatmap_of(section, 0, panel);
    REQUIRE(map.values.size() == 9);
    for (const size_t live : {0, 1, 3, 4})
      CHECK(map.values[live] == doctest::Approx(1).epsilon(1e-6));
    for (const size_t dead : {2, 5, 6, 7, 8}) CHECK(std::isnan(map.values[dead]));
    CHECK(map.row_labels == std::vector<std::string>{"first", "scaled", "constant"});
  }
  CHECK(
      says(section.caveats,
           "Dead, constant over the pictures, and so without similarity: a constant, b constant"));
  CHECK(std::isfinite(section.values[0].value));
}

TEST_CASE(
    "cka does not depend on the order of the batches, and full batches of both estimators differ") {
  const Dataset data = random_pictures(48, 8, 2, 5);
  const Subject blurred = subject("blurred", 8, 2, [](const Tensor& images) {
    const Tensor x = show("first", images);
    show("second", relu(box_blur(x, 3)));
    return by_brightness(x);
  });
  const auto value = [&](const std::map<std::string, std::string>& settings) {
    return heatmap_of(run_named("cka", {blurred}, data, settings), 0, 0).values[1];
  };
  const double full = value({{"cka.batch", "48"}});
  CHECK(value({{"cka.batch", "48"}, {"cka.passes", "3"}}) == doctest::Approx(full).epsilon(1e-6));
  CHECK(value({{"cka.batch", "48"}, {"cka.estimator", "biased"}}) > full + 0.05);
  const Section passes =
      run_named("cka", {blurred}, data, {{"cka.batch", "12"}, {"cka.passes", "4"}});
  CHECK(passes.arrays.at(1).name == "cka-deviation");
  CHECK(passes.arrays[1].values[1] > 0);
  CHECK(passes.arrays[1].values[0] == doctest::Approx(0).epsilon(1e-6));
}

TEST_CASE("all layers are compared under the names of their weights, grouped by block") {
  const std::shared_ptr<Model> model =
      make_model("CC.CC:preact,width=4", {.classes = 2, .image_size = 8});
  const Dataset data = random_pictures(16, 8, 2, 1);
  const Section section =
      run_named("cka", {make_subject("a", model)}, data, {{"cka.layers", "all"}});
  const plot::Heatmap& map = heatmap_of(section, 0, 0);
  const std::vector<std::string> first = {
      "stem.conv",
      "stem",
      "stages.0.blocks.0.norm1",
      "stages.0.blocks.0.conv1",
      "stages.0.blocks.0.norm2",
      "stages.0.blocks.0.conv2",
      "stages.0.blocks.0",
  };
  REQUIRE(map.row_labels.size() == 2 + 4 * 5 + 1 + 2);  // a shortcut; the last norm, the classifier
  CHECK(std::vector(map.row_labels.begin(), map.row_labels.begin() + std::ssize(first)) == first);
  REQUIRE(map.row_groups.size() == 5);
  CHECK(map.row_groups[0].label == "stem");
  CHECK(map.row_groups[1].label == "stages.0.blocks.0");
  CHECK(map.row_groups[1].begin == 2);
  CHECK(map.row_groups[1].end == 7);
  const Section blocks = run_named("cka", {make_subject("a", model)}, data);
  const plot::Heatmap& few = heatmap_of(blocks, 0, 0);
  const auto at = [](const plot::Heatmap& m, const std::string& a, const std::string& b) {
    const auto index = [&](const std::string& label) {
      return std::ranges::find(m.row_labels, label) - m.row_labels.begin();
    };
    return m.values[static_cast<size_t>(index(a) * m.columns + index(b))];
  };
  CHECK(at(map, "stem", "stages.1.blocks.1") ==
        doctest::Approx(at(few, "stem", "stages.1.blocks.1")).epsilon(1e-6));
  CHECK(at(map, "stem.conv", "stem") == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("batches shrink where the kernels of all layers would not fit into memory") {
  const std::vector<Subject> one = {copies("a", 5)};
  CHECK(batch_within_memory(one, LayerChoice::all, 1, 256) == 256);
  // Three copies of n^2 doubles for each of 3000 kernels in 2 GiB: n = 172.6.
  CHECK(batch_within_memory(one, LayerChoice::all, 1000, 256) == 172);
  CHECK(batch_within_memory(one, LayerChoice::all, 1000000, 256) == 32);
  CHECK(batch_within_memory(one, LayerChoice::blocks, 1000000, 256) == 256);
  CHECK(batch_caveat(256, 256).empty());
  CHECK(batch_caveat(172, 256).starts_with("Batches of 172 pictures instead of 256"));
}

TEST_CASE("a near head that is the other network's layer agrees with it, a far one does not") {
  const Subject attending = subject("attending", 8, 2, [](const Tensor& images) {
    const int64_t n = images.size(0), tokens = 64;
    std::vector<double> a(static_cast<size_t>(2 * tokens * tokens), 1.0 / 64);  // head 0 looks far
    for (int64_t i = 0; i < tokens * tokens; ++i)                               // head 1 at itself
      a[static_cast<size_t>(tokens * tokens + i)] = i % (tokens + 1) == 0;
    show("first", images);
    ScopeGuard guard("attn");
    const TapSite site{.kind = BlockKind::msa, .height = 8, .width = 8};
    const Tensor both = Tensor::from(a, {1, 2, tokens, tokens});
    tap("attention", expand(both, Shape{n, 2, tokens, tokens}), site);
    tap("heads", concat({square(images), images}, 3), site);
    return by_brightness(images);
  });
  const Subject other = subject("other", 8, 2, [](const Tensor& images) {
    show("layer", images * 5.0);
    return by_brightness(images);
  });
  const Dataset data = random_pictures(64, 8, 2, 1);
  std::vector<int64_t> all(64);
  for (int64_t i = 0; i < 64; ++i) all[static_cast<size_t>(i)] = i;
  const Tensor pictures = network_images(*other.model, data, all);
  const auto cka = [&](const Tensor& x) {
    bool dead = false;
    const Tensor a = u_centred_gram(x, dead), b = u_centred_gram(pictures, dead);
    MinibatchCka sums(1, 1);
    sums.add(a, b);
    return sums.matrix()[0];
  };
  const HeadSimilarity single =
      measure_head_similarity(attending, other, data, 64, {.size = 1}, {});
  REQUIRE(single.subsets.size() == 2);
  CHECK(single.subsets[0].heads == std::vector<int64_t>{1});
  CHECK(single.subsets[0].distance == 0);
  CHECK(single.subsets[0].cka[0] == doctest::Approx(1).epsilon(1e-6));
  CHECK(single.subsets[1].distance == doctest::Approx(4.136483));  // uniform over 8 x 8
  CHECK(single.subsets[1].cka[0] == doctest::Approx(cka(square(pictures))).epsilon(1e-5));
  const HeadSimilarity pair = measure_head_similarity(attending, other, data, 64, {.size = 2}, {});
  REQUIRE(pair.subsets.size() == 1);
  CHECK(pair.subsets[0].cka[0] ==
        doctest::Approx(cka(concat({square(pictures), pictures}, 3))).epsilon(1e-5));
  const Section section = run_named("heads", {attending, other}, data, {}, 64);
  CHECK(section.finding.find("near heads are more like them") != std::string::npos);
  CHECK(run_named("heads", {attending}, data).finding.find("--against") != std::string::npos);
  CHECK_THROWS_WITH_AS(measure_head_similarity(attending, other, data, 64, {.layer = 2}, {}),
                       doctest::Contains("attending has 1 attention layer"), UsageError);
}

TEST_CASE("similarity finds the same layer in a copy of the network, by every index") {
  const Dataset data = random_pictures(256, 8, 2, 2);
  const auto network = [](const std::string& label, double scale) {
    return subject(label, 8, 2, [=](const Tensor& images) {
      const Tensor weight = Tensor::from({1, -2, 0.5, 3, 1, -1, 0, 2, 2}, {3, 1, 1, 3});
      const Tensor x = show("first", images * scale);
      const Tensor y = show("second", square(conv2d(x, weight)));
      show("third", square(box_blur(y, 3)) * 0.1);
      return by_brightness(images);
    });
  };
  const Section section = run_named("similarity", {network("a", 1), network("b", 2)}, data,
                                    {{"similarity.batch", "64"}});
  REQUIRE(section.figures.size() == 3);
  CHECK(section.figures[0].panels.size() == 9);
  const plot::Bars& found = section.figures[2].panels.at(0).bars.at(0);
  REQUIRE(found.y.size() == 9);
  // HSIC grows with the scale of a layer
  for (size_t i = 0; i < found.y.size(); ++i)
    if (i != 3) CHECK(found.y[i] == doctest::Approx(100));
  for (const size_t panel : {0, 1, 2, 4, 5, 6, 7, 8})
    CHECK(heatmap_of(section, 0, panel).values[0] == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("similarity refuses correlations of more features than pictures and says why") {
  const Dataset data = random_pictures(64, 8, 2, 2);
  const Section section =
      run_named("similarity", {copies("a", 2)}, data,
                {{"similarity.batch", "32"}, {"similarity.regression_features", "flat"}});
  CHECK(says(section.caveats, "a first: 192 features over 64 pictures: once p >= n - 1"));
  CHECK(std::isnan(heatmap_of(section, 0, 5).values[0]));
  CHECK(heatmap_of(section, 0, 0).values[0] == doctest::Approx(1));
}

TEST_CASE(
    "fourier reads 2 ln|(1 + 2 cos w) / 3| between an impulse "
    "and its 3 x 3 mean, and marks white noise") {
  const Dataset data = impulse_pictures(3, 8, 2);
  const Subject blur = subject("blur", 8, 2, [](const Tensor& images) {
    show("after", box_blur(show("before", images), 3), BlockKind::msa);
    return by_brightness(images);
  });
  const Section section = run_named("fourier", {blur}, data);
  REQUIRE(section.figures.size() == 3);  // changes by kind, curves, along depth
  const plot::Panel& diagonal = section.figures[1].panels.at(0);
  REQUIRE(diagonal.lines.size() == 2);
  const double expected[] = {0, -0.434477, -2.197225, -3.959972};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(std::abs(diagonal.lines[0].y[i]) < 1e-5);
    CHECK(diagonal.lines[1].y[i] == doctest::Approx(expected[i]).epsilon(1e-3));
    CHECK(diagonal.lines[1].x[i] == doctest::Approx(0.25 * static_cast<double>(i)));
  }
  REQUIRE(diagonal.references.size() == 1);
  CHECK(diagonal.references[0].at == doctest::Approx(0.34657359));
  CHECK(section.finding.find("MSA blocks lower it by 3.960") != std::string::npos);
  const Section corrected = run_named("fourier", {blur}, data, {{"fourier.bias", "subtract"}});
  CHECK(corrected.figures.at(1).panels[0].lines[0].y[1] ==
        doctest::Approx(-0.34657359).epsilon(1e-4));
}

TEST_CASE("variance of an impulse and of its mean over 3 x 3") {
  const Subject blur = subject("blur", 8, 2, [](const Tensor& images) {
    show("after", box_blur(show("before", images), 3), BlockKind::msa);
    return by_brightness(images);
  });
  const Section section = run_named("variance", {blur}, impulse_pictures(2, 8, 2));
  const plot::Line& line = section.figures.back().panels.at(0).lines.at(0);
  CHECK(line.y[0] == doctest::Approx((1 - 1.0 / 64) / 63));
  CHECK(line.y[1] == doctest::Approx((1.0 / 9 - 1.0 / 64) / 63));
}

TEST_CASE("depth is shaded by kind, and where the resolution falls by subsampling") {
  DepthAxis axis;
  const auto add = [&](const char* path, BlockKind kind, int64_t side, bool subsamples) {
    TapSite site{.path = path, .name = "out", .kind = kind, .height = side, .width = side};
    site.subsamples = subsamples;
    axis.index_of(site);
  };
  add("stem.out", BlockKind::stem, 8, false);
  add("a.out", BlockKind::conv, 8, false);
  add("b.out", BlockKind::conv, 8, false);
  add("c.out", BlockKind::conv, 4, true);
  add("d.out", BlockKind::msa, 4, false);
  const std::vector<plot::Span> spans = axis.spans();
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].kind == plot::Kind::convolution);
  CHECK(spans[0].begin == 0.5);
  CHECK(spans[0].end == 2.5);
  CHECK(spans[1].kind == plot::Kind::subsampling);
  CHECK(spans[2].kind == plot::Kind::attention);
}

TEST_CASE(
    "noise outside zero frequency does not touch a network "
    "that reads the mean, a wave there does") {
  const Dataset data = dark_and_bright(40, 16);
  const Section noise = run_named("noise", {subject("mean", 16, 2, by_brightness)}, data);
  for (const plot::Line& line : noise.figures.at(0).panels.at(0).lines) {
    REQUIRE(line.y.size() == 9);
    for (const double change : line.y) CHECK(change == doctest::Approx(0));
  }
  CHECK(noise.finding.find("no clear preference") != std::string::npos);
  const Section waves = run_named("heatmap", {subject("mean", 16, 2, by_brightness)}, data,
                                  {{"heatmap.step", "4"}, {"heatmap.norm", "3"}});
  const plot::Heatmap& map = heatmap_of(waves, 0, 0);
  REQUIRE(map.rows == 5);
  for (size_t i = 0; i < map.values.size(); ++i)
    if (i == 12)
      CHECK(map.values[i] > 15);  // the centre: a shift of brightness of +-3 / 16 per channel
    else CHECK(map.values[i] == 0);
}

TEST_CASE("noise hits the network that reads its frequency") {
  // Class 1 when the checkerboard's amplitude is positive: pictures hold it weakly, the noise of
  // high bands drowns it.
  const Subject checker = subject("checker", 16, 2, [](const Tensor& images) {
    std::vector<double> board;
    for (int64_t i = 0; i < 16 * 16; ++i) board.push_back((i / 16 + i % 16) % 2 == 0 ? 1 : -1);
    return by_brightness(images * Tensor::from(board, {1, 16, 16, 1}));
  });
  Dataset data = dark_and_bright(80, 16);
  for (int64_t i = 0; i < data.count; ++i)
    for (int64_t k = 0; k < data.image_bytes(); ++k) {
      const int64_t pixel = k / 3, sign = (pixel / 16 + pixel % 16) % 2 == 0 ? 1 : -1;
      data.images[static_cast<size_t>(i * data.image_bytes() + k)] =
          static_cast<uint8_t>(128 + sign * (data.labels[static_cast<size_t>(i)] == 1 ? 1 : -1));
    }
  const Section section = run_named("noise", {checker}, data, {{"noise.frequencies", "0.3,1.0"}});
  const std::vector<double>& equal = section.figures.at(0).panels.at(0).lines.at(1).y;
  CHECK(equal[0] == doctest::Approx(0));
  CHECK(equal[1] < -8);
}

TEST_CASE(
    "uniform attention over 14 x 14 patches of 16 px reads 116.4922 px and 196 effective tokens") {
  const Subject uniform = subject("uniform", 224, 2, [](const Tensor& images) {
    ScopeGuard guard("block");
    tap("attention", Tensor::full({images.size(0), 3, 196, 196}, 1.0 / 196),
        {.kind = BlockKind::msa, .height = 14, .width = 14, .patch = 16});
    return by_brightness(images);
  });
  const Dataset data = random_pictures(2, 224, 2, 1);
  const Section distance = run_named("distance", {uniform}, data);
  for (const double value : distance.arrays.at(0).values)
    CHECK(value == doctest::Approx(116.4922).epsilon(1e-6));
  CHECK(distance.figures.at(0).panels.at(0).lines.at(0).y[0] ==
        doctest::Approx(116.4922).epsilon(1e-6));
  const Section entropy = run_named("entropy", {uniform}, data);
  for (const double tokens : entropy.figures.at(0).panels.at(0).points.at(0).y)
    CHECK(tokens == doctest::Approx(196).epsilon(1e-4));
  CHECK(entropy.values.at(0).value == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("a class token's share is shown, and the public script counts it as distance 0") {
  const Subject network = subject("cls", 8, 2, [](const Tensor& images) {
    ScopeGuard guard("block");
    tap("attention", Tensor::full({images.size(0), 1, 17, 17}, 1.0 / 17),
        {.kind = BlockKind::msa, .height = 4, .width = 4, .prefix = 1, .patch = 2});
    return by_brightness(images);
  });
  const Dataset data = random_pictures(2, 8, 2, 1);
  const double grid = 2 * 2.008015;
  const Section ours = run_named("distance", {network}, data);
  CHECK(ours.arrays.at(0).values[0] == doctest::Approx(grid).epsilon(1e-5));
  CHECK(ours.figures.at(1).panels.at(0).points.at(0).y[0] == doctest::Approx(100.0 / 17));
  const Section published =
      run_named("distance", {network}, data, {{"distance.class_token", "drop"}});
  CHECK(published.arrays.at(0).values[0] == doctest::Approx(grid * 16 / 17).epsilon(1e-5));
}

TEST_CASE("a network without attention says so") {
  const Section section = run_named("entropy", {copies("plain", 1)}, random_pictures(4, 8, 2, 1));
  CHECK(section.figures.empty());
  CHECK(section.finding.find("plain has no attention layer") != std::string::npos);
}

TEST_CASE(
    "receptive fields of means over 3 x 3 grow by the root of "
    "the depth, through the whole analysis") {
  const Subject blurs = subject("blurs", 21, 2, [](const Tensor& images) {
    Tensor x = images;
    for (int i = 1; i <= 4; ++i) x = show("layer" + std::to_string(i), box_blur(x, 3));
    return slice(mean(x, {1, 2}), 1, 0, 2);
  });
  const Section section = run_named("receptive-field", {blurs}, random_pictures(3, 21, 2, 1));
  const std::vector<double>& widths = section.arrays.at(0).values;
  REQUIRE(widths.size() == 4);
  for (size_t i = 0; i < 4; ++i)
    CHECK(widths[i] ==
          doctest::Approx(std::sqrt(2 * static_cast<double>(i + 1) / 3)).epsilon(1e-4));
  const plot::Panel& growth = section.figures.at(0).panels.at(0);
  CHECK(growth.references.at(0).at == doctest::Approx(std::sqrt(440.0 / 12)));
  CHECK_THROWS_AS(run_named("receptive-field", {blurs}, random_pictures(3, 21, 2, 1),
                            {{"receptive-field.norm", "absolute"}}),
                  UsageError);
}
