// Analyses against numpy, scipy and PyTorch: golden values made by golden/make_analysis.py, most of
// them of one small vision transformer that the script writes down again, run here through the
// analyses as the program runs them. Values of f32 passes agree to 2e-5 of the largest, of f64 ones
// to 1e-9 and better.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "analysis/decisions/calibration.h"
#include "analysis/decisions/shape_bias.h"
#include "analysis/frequency/frequency_noise.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/loss/hessian.h"
#include "analysis/loss/landscape.h"
#include "analysis/loss/lesion.h"
#include "analysis/places/ridge.h"
#include "analysis/reach/receptive_field.h"
#include "analysis/relevance/block_transport.h"
#include "analysis/relevance/lambda_maps.h"
#include "analysis/relevance/norm_rollout.h"
#include "analysis/relevance/rollout.h"
#include "analysis/study/picture_maps.h"
#include "models/vit.h"
#include "models/weights.h"
#include "tensor/ops/pointwise.h"
#include "tests/golden_file.h"
#include "tests/tiny_network.h"
#include "tests/worst.h"

using namespace passband;
using passband::testing::run_named;

namespace {

constexpr uint64_t kSeed = 5;
constexpr int64_t kCount = 16, kSide = 12, kClasses = 4;

const std::map<std::string, Tensor>& file() {
  static const std::map<std::string, Tensor> tensors =
      read_safetensors(golden_file("analysis.safetensors"));
  return tensors;
}

std::vector<double> golden(const std::string& name) { return file().at(name).values(); }

// The largest difference, as a share of the largest golden value.
double distance(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double worst = 0, scale = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst = numeric::worse(worst, std::abs(got[i] - want[i]));
    scale = std::max(scale, std::abs(want[i]));
  }
  return worst / scale;
}

double distance(const std::vector<double>& got, const std::string& name) {
  return distance(got, golden(name));
}

std::vector<double> normals(const std::string& site, size_t count) {
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<double>(random_normal({kSeed, 0, site_of(site)}, i));
  return values;
}

std::vector<double> uniforms(const std::string& site, size_t count) {
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<double>(random_uniform({kSeed, 0, site_of(site)}, i));
  return values;
}

// The network of the script.
std::shared_ptr<Model> network(DType dtype = DType::f32) {
  std::shared_ptr<Model> model =
      make_vit("golden", {.width = 8, .depth = 2, .heads = 2, .patch = 4},
               {.classes = kClasses, .image_size = kSide, .dtype = dtype});
  model->store().build(0, dtype);
  for (const ParameterRef& p : model->store().parameters()) {
    std::vector<double> values = normals(p->name, static_cast<size_t>(p->shape.numel()));
    const bool scale = p->name.find("norm") != std::string::npos && p->name.ends_with("weight");
    for (double& value : values)
      value = p->shape.rank() > 1 ? 0.4 * value : 0.1 * value + (scale ? 1 : 0);
    copy_(p->value.detach(), Tensor::from(values, p->shape, dtype));
  }
  model->store().touch();
  return model;
}

Dataset pictures() {
  Dataset data{.name = "golden", .split = "test", .count = kCount, .height = kSide, .width = kSide};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.25f, 0.25f, 0.25f};
  for (int64_t k = 0; k < kClasses; ++k) data.classes.push_back("class" + std::to_string(k));
  for (int64_t i = 0; i < kCount; ++i) data.labels.push_back(static_cast<int32_t>(i % kClasses));
  for (int64_t i = 0; i < kCount * data.image_bytes(); ++i)
    data.images.push_back(static_cast<uint8_t>(
        random_words({kSeed, 0, site_of("golden.pictures")}, static_cast<uint64_t>(i)).v[0] % 256));
  return data;
}

const Dataset& data() {
  static const Dataset set = pictures();
  return set;
}

Section run(const std::string& name, const std::map<std::string, std::string>& settings = {}) {
  return run_named(name, {{.label = "golden", .model = network()}}, data(), settings);
}

std::vector<int64_t> first_pictures(int64_t count) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i);
  return indices;
}

const std::vector<double>& array_of(const Section& section, const std::string& name) {
  const auto found = std::ranges::find(section.arrays, name, &ReportArray::name);
  REQUIRE(found != section.arrays.end());
  return found->values;
}

double value_of(const Section& section, const std::string& key) {
  const auto found = std::ranges::find(section.values, key, &ReportValue::key);
  REQUIRE(found != section.values.end());
  return found->value;
}

constexpr double kSingle = 2e-5;  // a pass in f32

}  // namespace

TEST_CASE("the network of the script says the same") {
  const auto model = network(DType::f64);
  const ContextGuard mode({.training = false, .compute = DType::f64});
  const Tensor images = network_images(*model, data(), first_pictures(kCount));
  CHECK(distance((*model)(images).values(), "logits") < 1e-6);  // pictures are normalised in f32
}

TEST_CASE(
    "attention distance and entropy are PyTorch's, head by head, through the whole analyses") {
  const Section ours = run("distance"),
                script = run("distance", {{"distance.class_token", "drop"}});
  CHECK(distance(ours.arrays.at(0).values, "distance.renormalised") < kSingle);
  CHECK(distance(script.arrays.at(0).values, "distance.dropped") < kSingle);
  std::vector<double> mass = golden("class_mass");
  for (double& share : mass) share *= 100;
  CHECK(distance(ours.figures.at(1).panels.at(0).points.at(0).y, mass) < kSingle);
  const Section entropy = run("entropy");
  const plot::Panel& spread = entropy.figures.at(0).panels.at(0);
  const auto logs = [](std::vector<double> tokens) {
    for (double& t : tokens) t = std::log(t);
    return tokens;
  };
  CHECK(distance(logs(spread.points.at(0).y), "entropy.places") < kSingle);
  CHECK(distance(logs(spread.points.at(1).y), "entropy.class") < kSingle);
}

TEST_CASE("every form of rollout is the product of whole matrices in numpy") {
  const auto model = network();
  const Tensor images = network_images(*model, data(), first_pictures(4));
  std::vector<std::pair<std::string, RolloutSettings>> forms = {
      {"mean", {}},   {"max", {}},      {"min", {}},           {"discard", {}},
      {"script", {}}, {"gradient", {}}, {"class_specific", {}}};
  forms[1].second.attention.fusion = Fusion::max;
  forms[2].second.attention.fusion = Fusion::min;
  forms[3].second.attention = {.fusion = Fusion::max, .discard = 0.9};
  forms[4].second.attention = {.fusion = Fusion::max, .discard = 0.9, .vit_explain = true};
  forms[5].second.attention.rule = RolloutRule::gradient;
  forms[6].second.attention.rule = RolloutRule::class_specific;
  std::vector<RolloutSettings> settings;
  for (const auto& [name, form] : forms) settings.push_back(form);
  const auto maps = rollouts(*model, images, settings, classes_read(*model, images));
  for (size_t i = 0; i < forms.size(); ++i) {
    INFO(forms[i].first);
    CHECK(distance(maps[i].values, "rollout." + forms[i].first) < kSingle);
  }
}

TEST_CASE(
    "rollout by norms sends every source by itself, over places and over groups of channels") {
  const auto model = network();
  const Tensor image = network_images(*model, data(), {1});
  for (const int64_t groups : {1, 2}) {
    INFO(groups);
    const auto blocks = block_transports(*model, image, {.groups = groups});
    std::vector<double> steps;
    for (size_t l = 1; l < blocks.size(); ++l)
      for (const double value : blocks[l].transport.values()) steps.push_back(value);
    CHECK(distance(steps, "transport." + std::to_string(groups)) < 1e-4);
    std::vector<double> volume;
    for (int64_t g = 0; g < groups; ++g) {
      std::vector<double> start(static_cast<size_t>(10 * groups));
      start[static_cast<size_t>(g)] = 1;  // the class token
      const auto places = over_groups(relevance_by_layer(blocks, start).front(), groups);
      volume.insert(volume.end(), places.begin(), places.end());
    }
    CHECK(distance(volume, "volume." + std::to_string(groups)) < 1e-4);
  }
}

TEST_CASE("shortcuts: ratios, angles and what is right without one") {
  const Section section = run("skip");
  const plot::Figure &ratio = section.figures.at(1), &removal = section.figures.at(2);
  CHECK(distance(ratio.panels.at(0).lines.at(0).y, "skip.ratio") < kSingle);
  CHECK(distance(ratio.panels.at(0).lines.at(2).y, "skip.ratio_class") < kSingle);
  CHECK(distance(ratio.panels.at(1).lines.at(0).y, "skip.cosine_sum") < kSingle);
  CHECK(distance(ratio.panels.at(1).lines.at(1).y, "skip.cosine_branch") < kSingle);
  const auto shares = [](std::vector<double> counts) {
    for (double& count : counts) count /= kCount;
    return counts;
  };
  CHECK(removal.panels.at(0).bars.at(0).y == shares(golden("skip.right")));
  CHECK(removal.panels.at(0).points.at(0).y == shares(golden("skip.right_block")));
  // Points by kind, attention first: what is right less without a shortcut than with all.
  const std::vector<double> without = golden("skip.right");
  const std::vector<double>& points = section.figures.at(0).panels.at(1).points.at(0).y;
  REQUIRE(points.size() == without.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const size_t block = i % (points.size() / 2), layer = 2 * block + 2 * i / points.size();
    CHECK(points[i] ==
          doctest::Approx(100 * (without[layer] - golden("right")[0]) / kCount).epsilon(1e-9));
  }
}

TEST_CASE("lesions leave as many right answers as PyTorch without the part") {
  const auto model = network();
  const DepthAxis branches = branches_of(*model);
  const auto right = [&](const std::vector<Lesion>& lesions, Removal removal) {
    std::vector<double> counts;
    for (const LesionResult& r :
         run_lesions(*model, data(), lesions, removal, {.images = kCount})) {
      CHECK(static_cast<double>(r.intact) == golden("right")[0]);
      counts.push_back(static_cast<double>(r.lesioned));
    }
    return counts;
  };
  CHECK(right(branch_lesions(branches), Removal::zero) == golden("lesion.right"));
  CHECK(right(branch_lesions(branches), Removal::mean) == golden("lesion.right_mean"));
  CHECK(right(block_lesions(branches), Removal::zero) == golden("lesion.right_block"));
}

TEST_CASE("receptive fields are those of PyTorch's Jacobians") {
  Dataset two = data();
  two.count = 2;
  const ReceptiveFields exact =
      measure_fields(*network(), two, {.estimator = FieldEstimator::exact});
  std::vector<double> energy, absolute;
  for (const ReceptiveField& field : exact.fields) {
    energy.insert(energy.end(), field.energy.begin(), field.energy.end());
    absolute.insert(absolute.end(), field.absolute.begin(), field.absolute.end());
  }
  CHECK(distance(energy, "field.energy") < 5 * kSingle);
  CHECK(distance(absolute, "field.absolute") < 5 * kSingle);
}

TEST_CASE("spectra of maps with even and odd sides are numpy's, variance along depth too") {
  for (const int64_t side : {14, 7}) {
    INFO(side);
    // Brownian sheets: normal numbers summed along both axes.
    std::vector<double> maps = normals("golden.maps", static_cast<size_t>(3 * side * side * 2));
    const auto at = [&](int64_t n, int64_t y, int64_t x, int64_t c) -> double& {
      return maps[static_cast<size_t>(((n * side + y) * side + x) * 2 + c)];
    };
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x)
          for (int64_t c = 0; c < 2; ++c) {
            if (y > 0) at(n, y, x, c) += at(n, y - 1, x, c);
          }
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 1; x < side; ++x)
          for (int64_t c = 0; c < 2; ++c) at(n, y, x, c) += at(n, y, x - 1, c);
    LogAmplitude sums;
    sums.add(Tensor::from(maps, {3, side, side, 2}));
    CHECK(distance(sums.diagonal(), "diagonal." + std::to_string(side)) < kSingle);
  }
  const Section variance = run("variance");
  CHECK(distance(variance.figures.back().panels.at(0).lines.at(0).y, "variance") < kSingle);
}

TEST_CASE(
    "minibatch CKA of layers, and of tokens with patches, is Song's estimator summed in numpy") {
  for (const char* features : {"flat", "pooled"}) {
    INFO(features);
    const Section cka = run("cka", {{"cka.batch", "8"}, {"cka.features", features}});
    CHECK(distance(array_of(cka, "cka"), std::string("cka.") + features) < 10 * kSingle);
  }
  const Section localisation = run("localisation");
  CHECK(distance(array_of(localisation, "localisation"), "localisation") < 10 * kSingle);
}

TEST_CASE("Hessian products and extreme eigenvalues are those of PyTorch's whole matrix") {
  const auto model = network(DType::f64);
  Dataset four = data();
  four.count = 4;
  const LossBatches batches{
      .data = &four, .indices = {0, 1, 2, 3}, .batch_size = 4, .image_size = kSide};
  const BatchHessian hessian(*model, batches.batch(0), {});
  const int64_t n = model->store().parameter_count();
  const Tensor v =
      Tensor::from(normals("golden.direction", static_cast<size_t>(n)), {n}, DType::f64);
  CHECK(distance(hessian.times(v).values(), "hessian.times") < 1e-6);
  const TopEigenvalues top = top_eigenvalues(hessian.map(), {.count = 5, .tolerance = 1e-8});
  CHECK(distance(top.values, "hessian.largest") < 1e-6);
  const Ritz all = ritz(lanczos(hessian.map(), normal_vector(n, DType::f64, {1, 0, 1}), 80));
  const auto ends = std::ranges::minmax(all.values);
  CHECK(distance({ends.max, ends.min}, "hessian.ends") < 1e-6);
  // Trace by Rademacher probes: four deviations, whose square is 2 (|H|^2 - sum h_ii^2) / 60 at
  // most.
  const std::vector<double> moments = golden("hessian.moments");
  CHECK(std::abs(trace(hessian.map(), 60, 3).mean - moments[0]) <
        4 * std::sqrt(2 * moments[1] / 60));
}

TEST_CASE(
    "loss surfaces along filter-normalised directions are PyTorch's losses at the moved weights") {
  const Section section = run_named("landscape", {{.label = "golden", .model = network()}}, data(),
                                    {{"landscape.side_points", "5"},
                                     {"landscape.line_points", "3"},
                                     {"landscape.reach", "0.5"},
                                     {"landscape.decay", "0"}});
  CHECK(distance(array_of(section, "landscape-nll-1"), "landscape.nll") < kSingle);
  const Tensor position =
      landscape_direction(network(DType::f64)->store(), 11, FilterNorm::position);
  CHECK(distance(position.values(), "landscape.position") < 1e-6);
}

TEST_CASE("calibration of drawn logits: numpy's bins and scipy's temperature") {
  const size_t count = 501, classes = 5;
  std::vector<double> logits = normals("golden.logits", count * classes);
  for (double& z : logits) z *= 3;
  std::vector<int32_t> labels;
  for (const double label : golden("calibration.labels"))
    labels.push_back(static_cast<int32_t>(label));
  Calibration sums(classes);
  sums.add(Tensor::from(logits, {count, classes}, DType::f64), labels);
  const CalibrationResult r = sums.result();
  CHECK(distance({r.ece, r.signed_ece, r.mce, r.adaptive_ece, r.classwise_ece, r.nll, r.brier,
                  r.accuracy},
                 "calibration.scores") < 1e-6);
  CHECK(distance({r.temperature}, "calibration.temperature") < 1e-6);
  CHECK(value_of(run("calibration"), "accuracy") == doctest::Approx(golden("right")[0] / kCount));
}

TEST_CASE(
    "ridge probes solve numpy's normal equations, with more "
    "examples than features and with fewer") {
  for (const auto& [name, n, d] : {std::tuple{"tall", 40, 6}, std::tuple{"wide", 9, 14}}) {
    std::vector<double> x =
        normals(std::string("golden.ridge.") + name, static_cast<size_t>(n * d));
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = x[i] * (1 + static_cast<double>(i % static_cast<size_t>(d))) + 3;
    std::vector<int32_t> labels;
    for (int i = 0; i < n; ++i) labels.push_back(i * 7 % 3);
    const RidgePath path = ridge_of_examples(Tensor::from(x, {n, d}, DType::f64), labels, 3);
    for (const auto& [text, lambda] : {std::pair{"0.1", 0.1}, std::pair{"10", 10.0}})
      CHECK(distance(path.weights(lambda), std::string("ridge.") + name + "." + text) < 1e-9);
  }
}

TEST_CASE("shares and reach of a lambda layer's signed weights are numpy's") {
  const Shape shape{3, 2, 9, 9};
  const auto drawn = [&](const char* name) {
    return Tensor::from(normals(name, static_cast<size_t>(shape.numel())), shape);
  };
  LambdaWeights sums;
  TapSite site{
      .path = "block.lambda", .name = "lambda", .kind = BlockKind::lambda, .height = 3, .width = 3};
  site.patch = 4;
  sums.add(site, drawn("golden.lambda"), drawn("golden.lambda_content"));
  CHECK(distance(
            {sums.content_share(), sums.negative_share(), sums.distance(), sums.uniform_distance()},
            "lambda") < 1e-6);
}

TEST_CASE("decisions on cue conflicts and Cohen's kappa are numpy's") {
  std::vector<double> logits = normals("golden.conflicts", 50 * 12);
  for (double& z : logits) z *= 2;
  const std::vector<std::vector<int64_t>> members = {{0, 4, 5}, {1}, {2, 3, 9, 10}, {7, 8}};
  for (const auto& [name, pool] :
       {std::pair{"mean", Pool::mean}, std::pair{"sum", Pool::sum}, std::pair{"max", Pool::max}}) {
    const std::vector<int32_t> decided = decide(logits, 12, members, pool);
    CHECK(std::vector<double>(decided.begin(), decided.end()) ==
          golden(std::string("decided.") + name));
  }
  std::vector<bool> first, second;
  for (const double u : uniforms("golden.first", 60)) first.push_back(u < 0.7);
  for (const double u : uniforms("golden.second", 60)) second.push_back(u < 0.5);
  CHECK(error_consistency(first, second) == doctest::Approx(golden("kappa")[0]).epsilon(1e-12));
}

TEST_CASE("symmetric bands hold the bins of numpy's frequencies") {
  for (const int64_t side : {16, 7})
    CHECK(band_mask({0.3 * std::numbers::pi, 0.2}, side, side) ==
          golden("band." + std::to_string(side)));
}
