// Localisation heat maps and shortcut statistics: tokens of known content, branches of known size.
#include <doctest/doctest.h>

#include <cmath>

#include "analysis/places/localisation.h"
#include "analysis/places/skip.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

using namespace passband;

namespace {

Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = random_normal({seed, 0, 3}, static_cast<uint64_t>(i));
  return x;
}

TapSite grid(int64_t side) {
  TapSite site;
  site.height = site.width = side;
  return site;
}

// The pixels of each patch as its token's features.
Tensor own_patches(const Tensor& images, int64_t side) {
  const int64_t n = images.size(0), patch = images.size(1) / side;
  const Tensor split = reshape(images, Shape{n, side, patch, side, patch, 3});
  return reshape(permute(split, {0, 1, 3, 2, 4, 5}), Shape{n, side, side, patch * patch * 3});
}

LocalisationSummary measure(const Tensor& features, const Tensor& images, int64_t side) {
  Localisation sums(grid(side));
  const int64_t half = features.size(0) / 2;
  for (const int64_t first : {int64_t{0}, half})
    sums.add(slice(features, 0, first, half), slice(images, 0, first, half));
  return summarise(sums.heatmaps(), side, side);
}

}  // namespace

TEST_CASE("tokens that hold their own patch have CKA 1 with it and rank it first") {
  const Tensor images = noise({64, 8, 8, 3}, 1);
  Localisation sums(grid(4));
  sums.add(own_patches(images, 4), images);
  const std::vector<double> maps = sums.heatmaps();
  for (size_t t = 0; t < 16; ++t) CHECK(maps[t * 16 + t] == doctest::Approx(1).epsilon(1e-6));
  const LocalisationSummary s = summarise(maps, 4, 4);
  CHECK(s.own_rank == 0);
  CHECK(s.own_first == 1);
  CHECK(s.distance < 0.3 * s.uniform);
}

TEST_CASE("tokens of a shifted picture rank another patch first") {
  const Tensor images = noise({64, 8, 8, 3}, 1);
  const LocalisationSummary s = measure(own_patches(roll(images, 2, 2), 4), images, 4);
  CHECK(s.own_first == 0);
  CHECK(s.own_rank > 0.2);
}

TEST_CASE("tokens that all hold the mean of the picture rank their own patch by chance") {
  const Tensor images = noise({128, 8, 8, 3}, 2);
  const Tensor features = expand(mean(own_patches(images, 4), {1, 2}, true), Shape{128, 4, 4, 12});
  const LocalisationSummary s = measure(features + 0.0, images, 4);
  // the ranks 0 ... 15 of one order, divided by 15
  CHECK(s.own_rank == doctest::Approx(0.5).epsilon(1e-6));
  CHECK(s.own_first == doctest::Approx(1.0 / 16));
}

TEST_CASE("equal heat has rank one half and the distance of uniform attention") {
  const LocalisationSummary s = summarise(std::vector<double>(256, 0.25), 4, 4);
  CHECK(s.own_rank == 0.5);
  CHECK(s.distance == doctest::Approx(2.008015).epsilon(1e-6));
  CHECK(s.uniform == doctest::Approx(2.008015).epsilon(1e-6));
}

TEST_CASE("a branch c z gives the ratio 1 / |c|, cosine sign c and median alike") {
  for (const double c : {0.25, -0.5, 3.0}) {
    const Tensor z = noise({4, 3, 3, 5}, 3);
    SkipLayer layer{.site = grid(3)};
    layer.add(z, z * c);
    CHECK(layer.places.ratio() == doctest::Approx(1 / std::abs(c)).epsilon(1e-5));
    CHECK(layer.places.median_ratio() == doctest::Approx(1 / std::abs(c)).epsilon(0.04));
    CHECK(layer.places.cosine_branch() == doctest::Approx(c > 0 ? 1 : -1).epsilon(1e-6));
    CHECK(layer.places.cosine_output() == doctest::Approx(1 + c > 0 ? 1 : -1).epsilon(1e-6));
    CHECK(layer.places.tokens() == 36);
  }
}

TEST_CASE("class tokens are counted apart and branches of zero left out of the ratio") {
  TapSite site = grid(2);
  site.prefix = 1;
  Tensor z = Tensor::full({2, 5, 3}, 2.0), f = Tensor::full({2, 5, 3}, 1.0);
  // class token of the first picture: ratio 4
  for (int c = 0; c < 3; ++c) f.data<float>()[c] = 0.5f;
  for (int c = 0; c < 3; ++c) f.data<float>()[3 + c] = 0;  // a place that adds nothing
  SkipLayer layer{.site = site};
  layer.add(z, f);
  CHECK(layer.class_token.ratio() == doctest::Approx(3));
  CHECK(layer.class_token.tokens() == 2);
  CHECK(layer.places.ratio() == doctest::Approx(2));
  CHECK(layer.places.tokens() == 8);
  // The place that adds nothing has no ratio: twice as long at the seven others.
  CHECK(layer.place_logs == std::vector<double>{1, 1});
  CHECK(layer.class_logs == std::vector<double>{2, 1});
}

TEST_CASE("a whole network shows each block's shortcut once, with the ratio of its own taps") {
  const auto model = make_model("alternet", {.classes = 3, .image_size = 16});
  std::vector<SkipLayer> layers;
  const Tensor images = noise({2, 16, 16, 3}, 4);
  add_skips(*model, images, layers);
  add_skips(*model, images, layers);
  REQUIRE(layers.size() == 6);  // C.CCM.CM
  CHECK(layers[0].site.path == "stages.0.blocks.0.skip");
  CHECK(layers[0].places.tokens() == 4 * 64);  // halved by the first block
  double expected = 0;
  Tensor branch;
  const ContextGuard mode({.training = false});
  const ProbeGuard probe({"branch", "skip"}, [&](const TapSite& site, const Tensor& x) {
    if (site.path == "stages.0.blocks.0.branch") branch = x;
    if (site.path != "stages.0.blocks.0.skip") return x;
    const std::vector<double> a = sum(square(x), {3}).values(),
                              b = sum(square(branch), {3}).values();
    for (size_t i = 0; i < a.size(); ++i)
      expected += std::sqrt(a[i] / b[i]) / static_cast<double>(a.size());
    return x;
  });
  (*model)(images);
  CHECK(layers[0].places.ratio() == doctest::Approx(expected).epsilon(1e-5));
}
