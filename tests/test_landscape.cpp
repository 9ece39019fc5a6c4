// Loss landscapes and their contours against closed forms and plain loops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "analysis/loss/landscape.h"
#include "analysis/registry.h"
#include "analysis/report/contour.h"
#include "analysis/report/svg.h"
#include "analysis/report/table.h"
#include "tensor/core/file.h"
#include "tensor/ops/pointwise.h"
#include "tests/test_analysis_models.h"
#include "tests/test_data_support.h"
#include "tests/worst.h"

using namespace passband;
using namespace passband::testing;

namespace {

// Length of every group of a parameter's elements: of each filter, or of each place across the
// filters.
std::vector<double> group_lengths(const Parameter& p, const Tensor& flat, bool by_filter) {
  const std::vector<double> v = flat.view(p.offset, p.shape).values();
  const int dimension = p.layout == Layout::lambda_local ? 2 : 0;
  const auto inner = static_cast<size_t>(p.shape.inner(dimension)),
             filters = static_cast<size_t>(p.shape[dimension]);
  std::vector<double> squares(by_filter ? filters : v.size() / filters);
  for (size_t i = 0; i < v.size(); ++i) {
    const size_t filter = i / inner % filters, place = i / (inner * filters) * inner + i % inner;
    squares[by_filter ? filter : place] += v[i] * v[i];
  }
  for (double& s : squares) s = std::sqrt(s);
  return squares;
}

double worst_relative(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = numeric::worse(worst, std::abs(a[i] - b[i]) / std::max(b[i], 1e-12));
  return worst;
}

LinearModel random_linear_model(int64_t size, int64_t classes, uint64_t seed) {
  LinearModel model(size, classes, DType::f64);
  const int64_t n = model.store().parameter_count();
  copy_(model.store().values(), normal_vector(n, DType::f64, {seed, 0, 1}) * 0.1);
  return model;
}

LossBatches batches_of(const Dataset& data, int64_t size, int64_t batch) {
  LossBatches result{.data = &data, .batch_size = batch, .image_size = size};
  for (int64_t i = 0; i < data.count; ++i) result.indices.push_back(i);
  return result;
}

// Mean cross-entropy of logits = W x by loops.
double naive_nll(const std::vector<double>& weights, const Dataset& data) {
  const auto features = static_cast<size_t>(data.image_bytes()), classes = data.classes.size();
  double total = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    std::vector<double> logits(classes);
    for (size_t k = 0; k < classes; ++k)
      for (size_t f = 0; f < features; ++f) {
        const float pixel =
            static_cast<float>(data.image(i)[f]) * (1 / (255 * 0.25f)) - 0.5f / 0.25f;
        logits[k] += weights[k * features + f] * pixel;
      }
    double sum = 0;
    for (const double z : logits) sum += std::exp(z);
    total += std::log(sum) - logits[static_cast<size_t>(data.labels[static_cast<size_t>(i)])];
  }
  return total / static_cast<double>(data.count);
}

double area(const std::vector<plot::Loop>& loops) {
  double total = 0;
  for (const plot::Loop& loop : loops)
    for (size_t i = 0; i < loop.size(); ++i) {
      const plot::PlanePoint &a = loop[i], &b = loop[(i + 1) % loop.size()];
      total += (a.x * b.y - b.x * a.y) / 2;
    }
  return std::abs(total);
}

// f on an n x n grid over [-1, 1]^2.
template <class F> plot::Contour contour_of(int n, F&& f) {
  plot::Contour contour{.value = "loss"};
  for (int i = 0; i < n; ++i) contour.x.push_back(2.0 * i / (n - 1) - 1);
  contour.y = contour.x;
  for (const double y : contour.y)
    for (const double x : contour.x) contour.values.push_back(f(x, y));
  return contour;
}

}  // namespace

TEST_CASE(
    "every output filter of a direction is as long as the filter of the weights; vectors stay") {
  for (const char* name : {"C.CM:width=8,head_dim=8", "C.L:width=8,scope=3", "vit_tiny_patch8"}) {
    const auto model = make_model(name, {.classes = 3, .image_size = 16, .seed = 2});
    const Tensor direction = landscape_direction(model->store(), 5, FilterNorm::filter);
    const Tensor again = landscape_direction(model->store(), 5, FilterNorm::filter);
    CHECK(direction.values() == again.values());
    for (const ParameterRef& p : model->store().parameters()) {
      INFO(name, " ", p->name);
      const auto got = group_lengths(*p, direction, true);
      if (p->shape.rank() < 2) CHECK(*std::ranges::max_element(got) == 0);
      else CHECK(worst_relative(got, group_lengths(*p, model->store().values(), true)) < 1e-5);
    }
  }
}

TEST_CASE(
    "scaling by position makes places across filters as long, and holds position embeddings") {
  const auto model = make_model("vit_tiny_patch8", {.classes = 3, .image_size = 16, .seed = 2});
  const Tensor direction = landscape_direction(model->store(), 5, FilterNorm::position);
  for (const ParameterRef& p : model->store().parameters()) {
    INFO(p->name);
    const auto got = group_lengths(*p, direction, false);
    if (p->shape.rank() < 2 || p->name == "pos_embed") CHECK(*std::ranges::max_element(got) == 0);
    else CHECK(worst_relative(got, group_lengths(*p, model->store().values(), false)) < 1e-3);
  }
}

TEST_CASE("a landscape is the loss of W + aD + bE, and leaves the weights as they were") {
  const Dataset data = random_pictures(10, 2, 3, 4);
  LinearModel model = random_linear_model(2, 3, 8);
  const Tensor d = landscape_direction(model.store(), 1, FilterNorm::filter),
               e = landscape_direction(model.store(), 2, FilterNorm::filter);
  std::vector<LandscapePoint> points = landscape_grid({-1, 0, 0.5}, {-0.5, 0, 2});
  const std::vector<double> before = model.store().values().values();
  measure_landscape(model, batches_of(data, 2, 4),
                    {.first = d, .second = e, .terms = {.decay = 0.2}}, points);
  CHECK(model.store().values().values() == before);
  REQUIRE(points.size() == 9);
  for (const LandscapePoint& p : points) {
    std::vector<double> w = before;
    double squares = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      w[i] += p.a * d.values()[i] + p.b * e.values()[i];
      squares += w[i] * w[i];
    }
    CHECK(p.nll == doctest::Approx(naive_nll(w, data)).epsilon(1e-5));
    CHECK(p.decay == doctest::Approx(0.1 * squares).epsilon(1e-9));
  }
  CHECK(points[5].a == 0.5);
  CHECK(points[5].b == 0);
}

TEST_CASE("an interrupted landscape goes on where it stopped") {
  const TemporaryFolder folder;
  const Dataset data = random_pictures(6, 2, 3, 4);
  LinearModel model = random_linear_model(2, 3, 8);
  LandscapeTask options{.first = landscape_direction(model.store(), 1, FilterNorm::filter),
                        .partial = folder / "points"};
  std::vector<LandscapePoint> whole = landscape_grid({-1, -0.5, 0, 0.5, 1}, {});
  measure_landscape(model, batches_of(data, 2, 6), options, whole);
  std::filesystem::remove(options.partial);

  const std::vector<double> before = model.store().values().values();
  LandscapeTask stopping = options;
  stopping.progress = Progress([](const Progress::Report& r) {
    if (r.count == 2) throw Interrupted();
  });
  std::vector<LandscapePoint> parted = landscape_grid({-1, -0.5, 0, 0.5, 1}, {});
  CHECK_THROWS_AS(measure_landscape(model, batches_of(data, 2, 6), stopping, parted), Interrupted);
  CHECK(model.store().values().values() == before);

  std::vector<LandscapePoint> rest = landscape_grid({-1, -0.5, 0, 0.5, 1}, {});
  landscape_from_text(read_file((folder / "points").string()), "points", rest);
  CHECK(std::ranges::count(rest, true, &LandscapePoint::done) == 2);
  rest = landscape_grid({-1, -0.5, 0, 0.5, 1}, {});
  std::vector<std::pair<int64_t, bool>> told;  // points done, and whether they were found
  LandscapeTask going_on = options;
  going_on.progress =
      Progress([&](const Progress::Report& r) { told.emplace_back(r.count, r.kept); });
  measure_landscape(model, batches_of(data, 2, 6), going_on, rest);
  CHECK(told == decltype(told){{2, true}, {3, false}, {4, false}, {5, false}});
  for (size_t i = 0; i < 5; ++i) CHECK(rest[i].nll == whole[i].nll);
  std::vector<LandscapePoint> other = landscape_grid({-1, 0, 1}, {});
  CHECK_THROWS_AS(measure_landscape(model, batches_of(data, 2, 6), options, other), DataError);
}

TEST_CASE("points survive as text, also those whose loss is not a number") {
  std::vector<LandscapePoint> points(3);
  points[0] = {.nll = 0.1, .decay = 1.0 / 3, .accuracy = 0.5, .done = true};
  points[2] = {.nll = NAN, .decay = INFINITY, .accuracy = 0, .done = true};
  std::vector<LandscapePoint> read(3);
  landscape_from_text(landscape_to_text(points), "x", read);
  CHECK(read[0].nll == 0.1);
  CHECK(read[0].decay == 1.0 / 3);
  CHECK(!read[1].done);
  CHECK(std::isnan(read[2].nll));
  CHECK(std::isinf(read[2].decay));
}

TEST_CASE("the distance of a rise is interpolated, and infinite where the loss never rises") {
  const std::vector<double> places = {-1, -0.5, 0, 0.5, 1};
  CHECK(distance_of_rise(places, {8, 2, 0, 2, 8}, 1) == doctest::Approx(0.25));
  CHECK(distance_of_rise(places, {8, 2, 0, 2, 8}, 5) == doctest::Approx(0.75));
  CHECK(std::isinf(distance_of_rise(places, {0.1, 0, 0, 0, 0.1}, 1)));
  CHECK(distance_of_rise(places, {NAN, 0, 0, 0, NAN}, 1) == 1);
}

TEST_CASE(
    "the level of a paraboloid is a circle, of a plane a strip, and outlines close at the border") {
  const plot::Contour bowl = contour_of(101, [](double x, double y) { return -x * x - y * y; });
  CHECK(area(plot::level_loops(bowl, -0.25)) ==
        doctest::Approx(std::numbers::pi / 4).epsilon(2e-3));
  CHECK(plot::level_loops(bowl, 0.1).empty());
  const plot::Contour slope = contour_of(5, [](double x, double) { return x; });
  CHECK(area(plot::level_loops(slope, 0.3)) == doctest::Approx(1.4));
  CHECK(area(plot::level_loops(slope, -5)) == doctest::Approx(4));
  const plot::Contour pit = contour_of(101, [](double x, double y) { return x * x + y * y; });
  CHECK(area(plot::level_loops(pit, 0.25)) ==
        doctest::Approx(4 - std::numbers::pi / 4).epsilon(2e-3));
}

TEST_CASE("a saddle is joined or parted by its middle, and a node without a value is left out") {
  plot::Contour saddle{.x = {0, 1}, .y = {0, 1}, .values = {1, 0, 0, 1}};
  CHECK(plot::level_loops(saddle, 0.6).size() == 2);
  CHECK(plot::level_loops(saddle, 0.4).size() == 1);
  CHECK(area(plot::level_loops(saddle, 0.6)) == doctest::Approx(0.4 * 0.4));
  CHECK(area(plot::level_loops(saddle, 0.4)) == doctest::Approx(1 - 0.4 * 0.4));
  plot::Contour hole =
      contour_of(5, [](double x, double y) { return x == 0 && y == 0 ? NAN : 1.0; });
  const auto loops = plot::level_loops(hole, 0.5);
  CHECK(loops.size() == 2);
  CHECK(area(loops) == doctest::Approx(4 - 0.5));  // the diamond between its four neighbours
}

TEST_CASE("a contour figure draws its levels, names their values, and lists its numbers") {
  plot::Panel panel{.x = {.label = "first"}, .y = {.label = "second"}};
  panel.contour = contour_of(11, [](double x, double y) { return 1 + x * x + y * y; });
  const plot::Figure figure{.name = "bowl", .title = "A bowl.", .panels = {panel}};
  const std::string svg = plot::render_svg(figure);
  CHECK(contains(svg, "fill-rule=\"evenodd\""));
  CHECK(contains(svg, ">loss<"));
  const plot::Table table = plot::tidy_table(figure);
  CHECK(table.columns == std::vector<std::string>{"second", "first", "loss"});
  CHECK(table.rows.size() == 121);
  plot::Figure broken = figure;
  broken.panels[0].contour->values.pop_back();
  CHECK_THROWS_AS(plot::render_svg(broken), Error);
}

TEST_CASE("the landscape section shows the loss at the centre and where it is a nat higher") {
  const Dataset data = random_pictures(30, 2, 3, 4);
  auto model = std::make_shared<LinearModel>(random_linear_model(2, 3, 8));
  AnalysisInput input{.subjects = {{.label = "linear", .model = model}}, .data = &data};
  const Analysis& analysis = find_analysis("landscape");
  const Section section = run_analysis(analysis, with_settings(input, analysis,
                                                               {{"landscape.side_points", "5"},
                                                                {"landscape.line_points", "5"},
                                                                {"landscape.reach", "8"}}));
  REQUIRE(section.figures.size() == 2);
  for (const plot::Figure& figure : section.figures) plot::check(figure);
  CHECK(section.figures[0].panels[0].contour->values.size() == 25);
  const auto centre = std::ranges::find(section.values, "centre_loss", &ReportValue::key);
  CHECK(centre->value ==
        doctest::Approx(naive_nll(model->store().values().values(), data)).epsilon(1e-5));
  CHECK(std::ranges::find(section.values, "rise_distance", &ReportValue::key)->value > 0);
}
