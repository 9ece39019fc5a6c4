// Effective receptive fields of networks whose fields are known.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "analysis/reach/receptive_field.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"

using namespace passband;
using namespace passband::testing;

namespace {

// `depth` means over 3 x 3 positions, every one shown; with `residual`, half of each is the
// identity.
Subject blurs(int64_t size, int depth, bool residual) {
  return subject("blurs", size, 2, [=](const Tensor& images) {
    Tensor x = images;
    for (int i = 0; i < depth; ++i) {
      const Tensor y = box_blur(x, 3);
      x = show("layer" + std::to_string(i + 1), residual ? (x + y) * 0.5 : y);
    }
    return slice(mean(x, {1, 2}), 1, 0, 2);
  });
}

ReceptiveFields fields_of(const Subject& subject, const FieldOptions& options = {}) {
  const Dataset data = random_pictures(4, subject.model->options().image_size, 2, 1);
  return measure_fields(*subject.model, data, options);
}

double peak(const ReceptiveField& field) {
  const std::vector<double> map = field.field();
  double total = 0, most = 0;
  for (const double value : map) {
    total += value;
    most = std::max(most, value);
  }
  return most / total;
}

double width_of(const ReceptiveField& field) {
  return field_width(field.field(), field.height, field.width);
}

}  // namespace

TEST_CASE("L means over 3 x 3 have a field of variance 2L/3 and the peak of their trinomial") {
  const ReceptiveFields fields = fields_of(blurs(31, 10, false));
  REQUIRE(fields.fields.size() == 10);
  for (size_t i = 0; i < 10; ++i)
    CHECK(width_of(fields.fields[i]) ==
          doctest::Approx(std::sqrt(2 * static_cast<double>(i + 1) / 3)).epsilon(1e-4));
  CHECK(peak(fields.fields[9]) == doctest::Approx(0.0229886).epsilon(1e-4));
  CHECK(pixels_above(fields.fields[9].field()) == 137);
}

TEST_CASE("half an identity and half a mean: variance L/3, one-dimensional peak 0.21886") {
  const ReceptiveFields fields = fields_of(blurs(31, 10, true));
  CHECK(width_of(fields.fields[9]) == doctest::Approx(std::sqrt(10.0 / 3)).epsilon(1e-4));
}

TEST_CASE("the exact estimator and random signs agree where channels do not mix") {
  const ReceptiveFields signs = fields_of(blurs(15, 3, false), {.draws = 1});
  const ReceptiveFields exact =
      fields_of(blurs(15, 3, false), {.estimator = FieldEstimator::exact});
  for (size_t i = 0; i < 3; ++i) {
    const auto &a = signs.fields[i].energy, &b = exact.fields[i].energy;
    for (size_t k = 0; k < a.size(); ++k) CHECK(std::abs(a[k] - b[k]) < 1e-7);
    // One output channel sees one input channel: sum |J| is the kernel itself.
    for (size_t k = 0; k < a.size(); ++k)
      CHECK(std::abs(exact.fields[i].absolute[k] - std::sqrt(b[k])) < 1e-5);
  }
}

TEST_CASE("random signs are unbiased where channels mix") {
  // z_c = sum_i W_ci x_i at one pixel: E = mean_c sum_i W_ci^2.
  const Tensor weight = Tensor::from({1, -2, 0.5, 3, 1, -1, 0, 2, 2, -1, 1, 1}, {4, 1, 1, 3});
  const Subject mix = subject("mix", 5, 2, [=](const Tensor& images) {
    return slice(mean(show("mix", conv2d(images, weight)), {1, 2}), 1, 0, 2);
  });
  const double expected = (1 + 4 + 0.25 + 9 + 1 + 1 + 0 + 4 + 4 + 1 + 1 + 1) / 4;
  const auto centre = static_cast<size_t>(2 * 5 + 2);
  const double exact =
      fields_of(mix, {.estimator = FieldEstimator::exact}).fields[0].energy[centre];
  const double signs = fields_of(mix, {.draws = 600}).fields[0].energy[centre];
  CHECK(exact == doctest::Approx(expected).epsilon(1e-5));
  CHECK(signs == doctest::Approx(expected).epsilon(0.05));
}

TEST_CASE("the script of RepLKNet sums active channels before it cuts, so that they can cancel") {
  // Channels 1, -2, 3 and -3 times the red input of one pixel; a positive input makes the first and
  // third active.
  const Subject mix = subject("mix", 5, 2, [](const Tensor& images) {
    const Tensor weight = Tensor::from({1, 0, 0, -2, 0, 0, 3, 0, 0, -3, 0, 0}, {4, 1, 1, 3});
    return slice(mean(show("mix", conv2d(abs(images) + 0.1, weight)), {1, 2}), 1, 0, 2);
  });
  const auto centre = static_cast<size_t>(2 * 5 + 2);
  Dataset data = random_pictures(2, 5, 2, 1);
  std::ranges::fill(data.images, 200);  // above the mean: |x| has slope 1
  const ReceptiveFields fields =
      measure_fields(*mix.model, data, {.estimator = FieldEstimator::replknet});
  CHECK(fields.fields[0].absolute[centre] == doctest::Approx(4));
  CHECK(fields.fields[0].energy.empty());
}

TEST_CASE("independent random kernels: the energy map has the variance of uniform ones") {
  const int depth = 6, draws = 300;
  std::vector<double> energy(21 * 21, 0.0);
  for (int draw = 0; draw < draws; ++draw) {
    const Subject random = subject("random", 21, 2, [=](const Tensor& images) {
      Tensor x = images;
      for (int i = 0; i < depth; ++i) {
        Tensor w = Tensor::empty({3, 3, 3, 1});
        for (int64_t k = 0; k < w.numel(); ++k)
          w.data<float>()[k] = random_normal(
              {static_cast<uint64_t>(draw), static_cast<uint64_t>(i), 9}, static_cast<uint64_t>(k));
        x = conv2d(x, w, {}, {.padding = 1, .groups = 3});
      }
      return slice(mean(show("deep", x), {1, 2}), 1, 0, 2);
    });
    const ReceptiveFields fields = fields_of(random, {.images = 1, .draws = 1});
    for (size_t k = 0; k < energy.size(); ++k) energy[k] += fields.fields[0].energy[k];
  }
  const double width = field_width(energy, 21, 21);
  CHECK(width * width == doctest::Approx(4.0).epsilon(0.08));
}

TEST_CASE(
    "tokens have their field at the middle of their patch, and its own cell holds all of it") {
  const Subject patches = subject("patches", 8, 2, [](const Tensor& images) {
    Tensor weight = Tensor::full({5, 2, 2, 3}, 1.0);
    const Tensor map = conv2d(images, weight, {}, {.stride = 2});
    ScopeGuard guard("embedding");
    const Tensor tokens =
        concat({Tensor::zeros({map.size(0), 1, 5}), reshape(map, Shape{map.size(0), 16, 5})}, 1);
    const Tensor shown = tap("out", tokens, {.height = 4, .width = 4, .prefix = 1, .patch = 2});
    return slice(mean(shown, {1}), 1, 0, 2);
  });
  const ReceptiveField field = fields_of(patches).fields[0];
  CHECK(field.centre_y == 4.5);
  CHECK(own_share(field.field(), field) == doctest::Approx(1));
  CHECK(width_of(field) == doctest::Approx(0.5));
  CHECK(area_ratio(field.field(), 8, 8, field.centre_y, field.centre_x, 0.99) ==
        doctest::Approx(4.0 / 64));
}

TEST_CASE("sizes of a flat map: sqrt((H^2 - 1) / 12), all pixels, squares by their area") {
  const std::vector<double> flat(15 * 15, 2.0);
  CHECK(field_width(flat, 15, 15) == doctest::Approx(std::sqrt(224.0 / 12)));
  CHECK(pixels_above(flat) == 225);
  // 7 x 7 = 49 of 225 is the first odd square above 20 %.
  CHECK(area_ratio(flat, 15, 15, 7, 7, 0.2) == doctest::Approx(49.0 / 225));
  CHECK(area_ratio(flat, 15, 15, 7, 7, 0.99) == doctest::Approx(1));
  CHECK(log_map({9.0, 0.0})[0] == doctest::Approx(1));
}

TEST_CASE("parameters have no gradient and are as before after a measurement") {
  const Subject one = blurs(9, 1, false);
  const bool tracked = one.model->store().parameters()[0]->value.tracked();
  fields_of(one);
  CHECK(one.model->store().parameters()[0]->value.tracked() == tracked);
}
