// Hessian products, Lanczos, traces and spectra against closed forms, dense eigenvalues and finite
// differences.
#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>
#include <cmath>
#include <numbers>

#include "analysis/loss/hessian.h"
#include "analysis/loss/training_loss.h"
#include "analysis/registry.h"
#include "data/shapes.h"
#include "models/vit.h"
#include "nn/context.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/test_analysis_models.h"
#include "tests/worst.h"

using namespace passband;
using passband::testing::LinearModel;
using passband::testing::random_pictures;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

SymmetricMap map_of(const Matrix& a) {
  Tensor matrix = Tensor::empty({a.rows(), a.cols()}, DType::f64);
  std::copy_n(a.data(), a.size(), matrix.data<double>());
  return {a.rows(), DType::f64, [matrix](const Tensor& v) {
            return reshape(matmul(matrix, reshape(v, Shape{v.numel(), 1})), v.shape());
          }};
}

SymmetricMap diagonal_map(int64_t n) {
  Matrix a = Matrix::Zero(n, n);
  for (int64_t i = 0; i < n; ++i) a(i, i) = static_cast<double>(i + 1);
  return map_of(a);
}

Matrix random_symmetric(int64_t n, uint64_t seed) {
  Matrix a(n, n);
  for (int64_t i = 0; i < n * n; ++i)
    a.data()[i] = random_normal({seed, 0, 3}, static_cast<uint64_t>(i));
  return (a + a.transpose()) / 2;
}

double dot(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

double relative_distance(const Tensor& a, const Tensor& b) {
  return std::sqrt(dot(a - b, a - b) / std::max(dot(b, b), 1e-300));
}

Tensor gradient_at(Model& model, const LossBatch& batch, const LossTerms& terms, const Tensor& v,
                   double step) {
  const Tensor values = model.store().values(), kept = values * 1.0;
  add_scaled_(values, v, step);
  Tensor gradient = BatchHessian(model, batch, terms).gradient();
  copy_(values, kept);
  return gradient;
}

LossBatch batch_of(const Dataset& data, int64_t size) {
  LossBatches all{.data = &data, .batch_size = data.count, .image_size = size};
  for (int64_t i = 0; i < data.count; ++i) all.indices.push_back(i);
  return all.batch(0);
}

std::unique_ptr<Model> tiny_model(const std::string& name, DType dtype) {
  const ModelOptions options{.classes = 3, .image_size = 16, .seed = 3, .dtype = dtype};
  if (name != "vit") return make_model(name, options);
  auto model = make_vit(name, {.width = 24, .depth = 2, .heads = 2, .patch = 8}, options);
  model->store().build(3, dtype);
  return model;
}

// |Hv - central difference of gradients| / |Hv|
double finite_difference_error(const std::string& name, DType dtype, double step) {
  const Dataset data = random_pictures(4, 16, 3, 5);
  const auto model = tiny_model(name, dtype);
  // Norms that start at 0 would leave sums exactly on the kink of a ReLU, where no difference
  // exists.
  const int64_t count = model->store().parameter_count();
  add_scaled_(model->store().values(), normal_vector(count, dtype, {9, 0, 2}), 0.05);
  model->store().touch();
  const LossBatch batch = batch_of(data, 16);
  const LossTerms terms{.smoothing = 0.1, .decay = 1e-3};
  const int64_t n = model->store().parameter_count();
  Tensor v = normal_vector(n, dtype, {1, 0, 2});
  v = v / std::sqrt(dot(v, v));
  const Tensor exact = BatchHessian(*model, batch, terms).times(v);
  const Tensor difference =
      (gradient_at(*model, batch, terms, v, step) - gradient_at(*model, batch, terms, v, -step)) /
      (2 * step);
  return relative_distance(difference, exact);
}

}  // namespace

TEST_CASE("Lanczos finds diag(1..10) exactly, and its trace 55 from one Rademacher probe") {
  const SymmetricMap map = diagonal_map(10);
  const Ritz r = ritz(lanczos(map, normal_vector(10, DType::f64, {1, 0, 1}), 100));
  REQUIRE(r.values.size() == 10);
  for (size_t i = 0; i < 10; ++i) {
    CHECK(std::abs(r.values[i] - static_cast<double>(i + 1)) < 1e-12);
    CHECK(r.residuals[i] == 0);
  }
  const TopEigenvalues top = top_eigenvalues(map, {.count = 3});
  CHECK(top.converged);
  CHECK(top.values[0] == doctest::Approx(10).epsilon(1e-6));
  CHECK(top.values[2] == doctest::Approx(8).epsilon(1e-5));
  const TraceEstimate one = trace(map, 1, 9);
  CHECK(one.mean == 55);
  CHECK(std::isnan(one.error));
  CHECK(trace(map, 5, 9).error == 0);
}

TEST_CASE("power iteration as published stops early on the clustered spectrum diag(1..10)") {
  const TopEigenvalues top = power_iteration(diagonal_map(10), {.count = 2});
  CHECK(top.values[0] < 10 - 1e-3);
  CHECK(top.values[0] > 9.5);
  CHECK(power_iteration(diagonal_map(10), {.count = 1, .steps = 1000, .tolerance = 1e-12})
            .values[0] == doctest::Approx(10).epsilon(1e-6));
}

TEST_CASE(
    "power iteration and Lanczos find negative eigenvalues of large magnitude, with their sign") {
  Matrix a = Matrix::Zero(4, 4);
  a.diagonal() << 3, -7, 1, 0.5;
  const std::vector<double> lanczos = top_eigenvalues(map_of(a), {.count = 2}).values;
  const std::vector<double> power = power_iteration(map_of(a), {.count = 2}).values;
  CHECK(lanczos[0] == doctest::Approx(-7));
  CHECK(lanczos[1] == doctest::Approx(3));
  CHECK(power[0] == doctest::Approx(-7).epsilon(1e-3));
  CHECK(power[1] == doctest::Approx(3).epsilon(1e-2));
}

TEST_CASE("Lanczos agrees with a dense eigensolver, its basis is orthonormal and its bounds hold") {
  const Matrix a = random_symmetric(40, 4);
  const Eigen::VectorXd expected = Eigen::SelfAdjointEigenSolver<Matrix>(a).eigenvalues();
  const Tensor start = normal_vector(40, DType::f64, {2, 0, 1});
  const Ritz all = ritz(lanczos(map_of(a), start, 40));
  REQUIRE(all.values.size() == 40);
  for (int64_t i = 0; i < 40; ++i)
    CHECK(std::abs(all.values[static_cast<size_t>(i)] - expected[i]) < 1e-9);

  const Krylov part = lanczos(map_of(a), start, 15);
  double worst = 0;
  for (size_t i = 0; i < 15; ++i)
    for (size_t j = 0; j < 15; ++j)
      worst = numeric::worse(worst, std::abs(dot(part.basis[i], part.basis[j]) - (i == j ? 1 : 0)));
  CHECK(worst < 1e-13);
  const Ritz r = ritz(part);
  for (size_t i = 0; i < r.values.size(); ++i)
    CHECK((expected.array() - r.values[i]).abs().minCoeff() <= r.residuals[i] + 1e-12);
}

TEST_CASE(
    "an invariant space ends the process: the identity after one step, two eigenvalues after two") {
  Matrix a = Matrix::Identity(6, 6) * 2.5;
  const Ritz one = ritz(lanczos(map_of(a), normal_vector(6, DType::f64, {1, 0, 1}), 10));
  CHECK(one.values.size() == 1);
  CHECK(one.values[0] == doctest::Approx(2.5));
  a(0, 0) = a(1, 1) = -1;
  CHECK(ritz(lanczos(map_of(a), normal_vector(6, DType::f64, {1, 0, 1}), 10)).values.size() == 2);
}

TEST_CASE("Rademacher probes scatter by 2 (|H|_F^2 - sum h_ii^2)") {
  const Matrix a = random_symmetric(20, 8);
  const double expected = 2 * (a.squaredNorm() - a.diagonal().squaredNorm());
  const TraceEstimate estimate = trace(map_of(a), 4000, 1);
  const double variance = estimate.error * estimate.error * 4000;
  CHECK(variance == doctest::Approx(expected).epsilon(0.08));
  CHECK(std::abs(estimate.mean - a.trace()) < 4 * estimate.error);
}

TEST_CASE("the density of diag(1..n) from one full probe is the mixture with equal weights") {
  const Ritz r = ritz(lanczos(diagonal_map(10), rademacher_vector(10, DType::f64, {3, 0, 1}), 10));
  double total = 0;
  for (const double weight : r.weights) {
    CHECK(weight == doctest::Approx(0.1).epsilon(1e-9));
    total += weight;
  }
  CHECK(total == doctest::Approx(1));
  std::vector<double> points;
  for (int i = -200; i < 1400; ++i) points.push_back(i * 0.01);
  const std::vector<double> density = density_at(points, {r, r}, 0.2);
  double integral = 0;
  for (const double d : density) integral += 0.01 * d;
  CHECK(integral == doctest::Approx(1).epsilon(1e-6));
  double at_five = 0;
  for (int k = 1; k <= 10; ++k)
    at_five +=
        0.1 * std::exp(-(5.0 - k) * (5.0 - k) / 0.08) / (0.2 * std::sqrt(2 * std::numbers::pi));
  CHECK(density_at({5.0}, {r}, 0.2)[0] == doctest::Approx(at_five));
}

TEST_CASE("softmax regression at zero has the Hessian (I - 11'/C)/C (x) X'X/n") {
  constexpr int64_t kClasses = 4, kPictures = 30;
  const Dataset data = random_pictures(kPictures, 2, kClasses, 1);
  LinearModel model(2, kClasses, DType::f64);
  const LossBatch batch = batch_of(data, 2);
  Matrix x(kPictures, 12);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = batch.images.data<float>()[i];
  const Matrix moment = x.transpose() * x / static_cast<double>(kPictures);
  const Eigen::VectorXd inner = Eigen::SelfAdjointEigenSolver<Matrix>(moment).eigenvalues();

  const BatchHessian hessian(model, batch, {});
  CHECK(hessian.loss() == doctest::Approx(std::log(4.0)));
  Matrix dense(48, 48);
  for (int64_t i = 0; i < 48; ++i) {
    Tensor e = Tensor::zeros({48}, DType::f64);
    e.data<double>()[i] = 1;
    const std::vector<double> column = hessian.times(e).values();
    for (int64_t j = 0; j < 48; ++j) dense(j, i) = column[static_cast<size_t>(j)];
  }
  const Eigen::VectorXd all = Eigen::SelfAdjointEigenSolver<Matrix>(dense).eigenvalues();
  for (int64_t k = 0; k < 3; ++k)
    CHECK(all[47 - k] == doctest::Approx(inner[11] / 4).epsilon(1e-9));
  CHECK(all[44] == doctest::Approx(inner[10] / 4).epsilon(1e-9));
  CHECK(dense.trace() == doctest::Approx(0.75 * moment.trace()).epsilon(1e-9));
  const TopEigenvalues top = top_eigenvalues(hessian.map(), {.count = 2, .tolerance = 1e-8});
  CHECK(top.values[0] == doctest::Approx(inner[11] / 4).epsilon(1e-9));
  CHECK(top.values[1] == doctest::Approx(inner[10] / 4).epsilon(1e-9));
}

TEST_CASE("products with the Hessian of every family equal central differences of the gradient") {
  for (const std::string name :
       {"C.CM:width=8,head_dim=8", "CC:width=8,postact", "C.L:width=8", "vit"}) {
    INFO(name);
    CHECK(finite_difference_error(name, DType::f64, 1e-6) < 1e-6);
  }
  // f32: the difference itself is good to three digits.
  CHECK(finite_difference_error("vit", DType::f32, 1e-2) < 5e-3);
}

TEST_CASE("the Hessian is symmetric, and a sum over batches of any size") {
  const Dataset data = random_pictures(7, 16, 3, 2);
  const auto model = tiny_model("C.CM:width=8,head_dim=8", DType::f64);
  const int64_t n = model->store().parameter_count();
  const Tensor u = normal_vector(n, DType::f64, {1, 0, 1}),
               v = normal_vector(n, DType::f64, {2, 0, 1});
  const LossTerms terms{.decay = 0.01};
  const BatchHessian whole(*model, batch_of(data, 16), terms);
  const Tensor hv = whole.times(v);
  CHECK(dot(u, hv) == doctest::Approx(dot(whole.times(u), v)).epsilon(1e-9));
  const LossBatches parts{
      .data = &data, .indices = {0, 1, 2, 3, 4, 5, 6}, .batch_size = 3, .image_size = 16};
  CHECK(relative_distance(hessian_over(*model, parts, terms).times(v), hv) < 1e-10);
}

TEST_CASE(
    "weight decay moves every eigenvalue; its unsquared form curves only across the weights") {
  const Dataset data = random_pictures(5, 2, 3, 2);
  LinearModel model(2, 3, DType::f64);
  const int64_t n = model.store().parameter_count();
  copy_(model.store().values(), normal_vector(n, DType::f64, {6, 0, 1}));
  const Tensor w = model.store().values(), v = normal_vector(n, DType::f64, {7, 0, 1});
  const LossTerms squared{.decay = 0.3}, norms{.decay = 0.3, .rule = LossTerms::Decay::norms};
  CHECK(relative_distance(decay_hessian_times(model.store(), squared, v), v * 0.3) < 1e-15);
  const double length = std::sqrt(dot(w, w));
  CHECK(decay_loss(model.store(), squared) == doctest::Approx(0.15 * length * length));
  CHECK(decay_loss(model.store(), norms) == doctest::Approx(0.3 * length));
  const Tensor expected = (v - w * (dot(w, v) / (length * length))) * (0.3 / length);
  CHECK(relative_distance(decay_hessian_times(model.store(), norms, v), expected) < 1e-14);
  CHECK(relative_distance(decay_gradient(model.store(), norms), w * (0.3 / length)) < 1e-14);
  const LossBatch batch = batch_of(data, 2);
  const Tensor plain = BatchHessian(model, batch, {}).times(v);
  CHECK(relative_distance(BatchHessian(model, batch, squared).times(v), plain + v * 0.3) < 1e-14);
}

TEST_CASE("the kernel density is scipy's gaussian_kde, and spectra are summed up as published") {
  const std::vector<double> samples = {-2, -1.5, 0.25, 1, 3, 10};
  const double expected[] = {0.06455966060280928, 0.09222285129625857, 0.08931464865412928,
                             0.04307495868207976, 0.017842753437706114};
  const std::vector<double> density = kernel_density(samples, {-3, 0, 1, 5, 12});
  for (size_t i = 0; i < 5; ++i) CHECK(density[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  const SpectrumSummary summary = summary_of(samples);
  CHECK(summary.negative_share == doctest::Approx(2.0 / 6));
  CHECK(summary.positive_mean == doctest::Approx(14.25 / 4));
}

TEST_CASE("the section finds the spectrum of softmax regression, by Lanczos and as PyHessian") {
  const Dataset data = random_pictures(24, 2, 3, 1);
  const auto model = std::make_shared<LinearModel>(2, 3);
  const LossBatch batch = batch_of(data, 2);
  Matrix x(24, 12);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = batch.images.data<float>()[i];
  const Eigen::VectorXd inner =
      Eigen::SelfAdjointEigenSolver<Matrix>(x.transpose() * x / 24.0).eigenvalues();
  AnalysisInput input{.subjects = {{.label = "linear", .model = model}}, .data = &data};
  const Analysis& analysis = find_analysis("hessian");
  for (const char* method : {"lanczos", "power"}) {
    INFO(method);
    const Section section = run_analysis(analysis, with_settings(input, analysis,
                                                                 {{"hessian.minibatches", "1"},
                                                                  {"hessian.batch", "24"},
                                                                  {"hessian.top", "1"},
                                                                  {"hessian.augment", "off"},
                                                                  {"hessian.method", method},
                                                                  {"hessian.steps", "12"}}));
    const auto value = [&](const char* key) {
      return std::ranges::find(section.values, key, &ReportValue::key)->value;
    };
    CHECK(value("positive_mean") == doctest::Approx(inner[11] / 3).epsilon(5e-3));
    CHECK(value("negative_share") == 0);
    CHECK(value("largest") == doctest::Approx(inner[11] / 3).epsilon(1e-3));
    CHECK(value("trace") == doctest::Approx(inner.sum() * 2 / 3).epsilon(0.3));
    for (const plot::Figure& figure : section.figures) plot::check(figure);
  }
}

TEST_CASE("batches that are made as in training are mixed as the run mixed, targets and all") {
  const DataSplits data = make_shapes({.train_count = 40, .test_count = 10});
  AnalysisInput input;
  input.data = &data.test;
  input.train = &data.train;
  const auto run = std::make_shared<RunDescription>();
  run->settings.mixup = 0.8;
  run->settings.cutmix = 1;
  run->settings.smoothing = 0.1;
  run->settings.data_fraction = 0.5;
  input.subjects = {
      {.label = "a",
       .model = make_model("C.C:width=4", {.classes = 10, .image_size = data.train.width}),
       .run = run}};
  const LossBatches plain = loss_batches(input, input.subjects[0], 16, 8, false, 1);
  CHECK(plain.data->count == 20);
  CHECK(!plain.batch(0).targets.defined());
  const LossBatches mixed = loss_batches(input, input.subjects[0], 16, 8, true, 1);
  LossBatches alone = mixed;
  alone.mixing = {};
  REQUIRE(mixed.count() == 2);
  for (int64_t b = 0; b < 2; ++b) {
    const LossBatch one = mixed.batch(b), before = alone.batch(b);
    REQUIRE(one.targets.defined());
    CHECK(one.labels.values() == before.labels.values());
    CHECK(one.images.values() != before.images.values());
    // Of picture i and its partner 7 - i each keeps a share; together they keep everything.
    const std::vector<double> x = one.images.values(), y = before.images.values();
    const size_t pixels = x.size() / 8;
    double worst_pair = 0, worst_row = 0;
    for (size_t i = 0; i < 8; ++i)
      for (size_t k = 0; k < pixels; ++k)
        worst_pair = std::max(worst_pair, std::abs(x[i * pixels + k] + x[(7 - i) * pixels + k] -
                                                   y[i * pixels + k] - y[(7 - i) * pixels + k]));
    CHECK(worst_pair < 1e-5);
    const std::vector<double> targets = one.targets.values(), labels = one.labels.values();
    for (size_t i = 0; i < 8; ++i) {
      double total = 0;
      for (size_t c = 0; c < 10; ++c) total += targets[i * 10 + c];
      worst_row = std::max(worst_row, std::abs(total - 1));
      CHECK(targets[i * 10 + static_cast<size_t>(labels[i])] >= 0.01 - 1e-7);
    }
    CHECK(worst_row < 1e-6);
    // Of equal logits the cross-entropy is the logarithm of the number of classes, whatever the
    // targets; of one that stands out by 1 it falls by the mean of its targets.
    const Tensor even = Tensor::zeros({8, 10});
    CHECK(one.cross_entropy_of(even, 0.1).item() == doctest::Approx(std::log(10.0)));
    double share = 0;
    std::vector<double> raised(80);
    for (size_t i = 0; i < 8; ++i) raised[i * 10 + 3] = 1, share += targets[i * 10 + 3] / 8;
    CHECK(one.cross_entropy_of(Tensor::from(raised, {8, 10}), 0.1).item() ==
          doctest::Approx(std::log(9 + std::exp(1.0)) - share).epsilon(1e-5));
  }
}
