// Claims: verdicts, the table at the head of the page, and what blocks do to pictures one by one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "analysis/frequency/feature_maps.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/report/report.h"
#include "analysis/study/claims.h"
#include "analysis/study/kind_points.h"
#include "tensor/core/file.h"
#include "tensor/ops/shape.h"
#include "tests/test_report_xml.h"

using namespace passband;
namespace fs = std::filesystem;

TEST_CASE("a claim is seen by its interval, and nothing is said where that holds both") {
  const auto below = [](const Estimate& e, double floor = 0) {
    return claim_seen(e, Verdict::below, 0, floor);
  };
  CHECK(below({-1, -2, -0.5}) == Seen::seen);
  CHECK(below({1, 0.5, 2}) == Seen::not_seen);
  CHECK(below({-1, -3, 1}) == Seen::cannot_tell);
  CHECK(below({-0.1, -0.15, -0.05}, 0.2) == Seen::not_seen);  // no effect worth a word
  CHECK(below({-0.1, -0.5, 0.3}, 0.2) == Seen::cannot_tell);
  CHECK(below({NAN, NAN, NAN}) == Seen::cannot_tell);
  CHECK(below({-1, -INFINITY, INFINITY}) == Seen::cannot_tell);
  CHECK(claim_seen({0.8, 0.7, 0.9}, Verdict::above, 0.5) == Seen::seen);
}

TEST_CASE("the head of the page shows claims x networks with the numbers that decide them") {
  const fs::path folder =
      fs::temp_directory_path() / ("passband-claims-" + std::to_string(::getpid()));
  Section section{.name = "one", .title = "One"};
  const Claim claim{.text = "Attention damps",
                    .key = "change",
                    .label = "Change",
                    .side = Verdict::below,
                    .floor = 0.1,
                    .words = [](double v) { return std::to_string(std::lround(100 * v)) + " c"; }};
  add_claim(section, claim, "seen", {-0.5, -0.7, -0.3});
  add_claim(section, claim, "other side", {0.5, 0.3, 0.7});
  add_claim(section, claim, "nothing", {0.02, -0.05, 0.09});
  add_claim(section, claim, "open", {-0.2, -0.5, 0.1});
  add_claim(section, claim, "single", {-0.2, -INFINITY, INFINITY});
  Report report({.title = "t"});
  report.add(section);
  report.write(folder.string());
  Report({.title = "t"}).write(folder.string());  // from what is stored
  const auto one =
      nlohmann::json::parse(read_file((folder / "summary.json").string()))["sections"]["one"];
  const nlohmann::json wanted = {{"seen", "seen"},
                                 {"other side", "not seen"},
                                 {"nothing", "not seen"},
                                 {"open", "cannot be told"},
                                 {"single", "cannot be told"}};
  CHECK(one["claims"][0]["claim"] == "Attention damps");
  CHECK(one["claims"][0]["networks"] == wanted);
  CHECK(one["networks"]["open"]["change"] == -0.2);
  CHECK(one["intervals"]["seen"]["change"] == nlohmann::json({-0.7, -0.3}));
  CHECK(!one["intervals"].contains("single"));
  const std::string page = read_file((folder / "index.html").string());
  CHECK(demo::XmlChecker(page, true).problem() == "");
  CHECK(page.find("<a href=\"#one\">Attention damps</a>") != std::string::npos);
  CHECK(page.find("<td><span class=\"seen\">seen</span> <b>\u221250 c</b> <small>\u221270 to "
                  "\u221230 c</small></td>") != std::string::npos);
  CHECK(page.find("<span class=\"untold\">cannot be told</span> <b>\u221220 c</b></td>") !=
        std::string::npos);
  fs::remove_all(folder);
}

TEST_CASE("variance and high frequencies of each picture are those of the picture alone") {
  // Two pictures of one channel: a checkerboard of height a on a level of 1, and a level alone.
  const int64_t side = 4;
  for (const double a : {0.5, 2.0}) {
    std::vector<double> values;
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x) values.push_back(1 + ((x + y) % 2 ? -a : a));
    for (int64_t i = 0; i < side * side; ++i) values.push_back(1);
    const Tensor maps = cast(Tensor::from(values, {2, side, side, 1}), DType::f32);
    MapVariance variance;
    variance.add(maps);
    REQUIRE(variance.of_pictures().size() == 2);
    CHECK(variance.of_pictures()[0] == doctest::Approx(a * a * 16 / 15));
    CHECK(variance.of_pictures()[1] == 0);
    CHECK((variance.of_pictures()[0] + variance.of_pictures()[1]) / 2 ==
          doctest::Approx(variance.value()));
  }
  // cos(2 pi (x + y) / 4) of height b on a level of 1: |F(0, 0)| = 16, |F(1, 1)| = 8 b.
  std::vector<double> values;
  const double b = 0.25;
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      values.push_back(1 + b * std::cos(std::acos(-1.0) / 2 * static_cast<double>(x + y)));
  LogAmplitude sums;
  sums.add(cast(Tensor::from(values, {1, side, side, 1}), DType::f32));
  REQUIRE(sums.of_pictures().size() == 1);
  CHECK(sums.of_pictures()[0] == doctest::Approx(std::log(8 * b / 16)).epsilon(1e-4));
  CHECK(sums.of_pictures()[0] == doctest::Approx(sums.diagonal().back()).epsilon(1e-6));
}

TEST_CASE("what a block does is paired over pictures, within a resolution alone") {
  DepthAxis axis;
  const auto layer = [&](const char* path, BlockKind kind, int64_t side) {
    TapSite site;
    site.path = path;
    site.name = "out";
    site.kind = kind;
    site.height = site.width = side;
    axis.index_of(site);
  };
  layer("stem.out", BlockKind::stem, 8);
  layer("a.out", BlockKind::conv, 8);
  layer("b.out", BlockKind::msa, 4);  // another resolution: no change
  layer("c.out", BlockKind::msa, 4);
  layer("d.out", BlockKind::msa, 4);
  const std::vector<BlockChange> changes =
      block_changes(axis, {{0, 10}, {1, 12}, {5, 5}, {4, 3}, {2, 2}});
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].pictures == std::vector<double>{1, 2});
  CHECK(changes[1].pictures == std::vector<double>{-1, -2});
  CHECK(changes[2].pictures == std::vector<double>{-2, -1});
  // Means over blocks: -1.5 for both pictures, so that nothing is left of their differences.
  const Estimate msa = change_of_kind(changes, BlockKind::msa);
  CHECK(msa.value == -1.5);
  CHECK(msa.low == -1.5);
  const Estimate conv = change_of_kind(changes, BlockKind::conv);
  CHECK(conv.low == doctest::Approx(1.5 - 1.96 * 0.5).epsilon(1e-3));
  CHECK(!std::isfinite(change_of_kind(changes, BlockKind::lambda).value));

  const plot::Figure figure =
      kind_figure("k", "K", {.label = "change"}, {effects_of("one", changes), {.network = "two"}});
  REQUIRE(figure.panels.size() == 1);
  const plot::Panel& panel = figure.panels[0];
  CHECK(panel.x.categories == std::vector<std::string>{"MSA", "convolution"});
  REQUIRE(panel.points.size() == 2);
  CHECK(panel.points[0].labels == std::vector<std::string>{"c", "d", "a"});
  CHECK(panel.points[1].x.empty());
  for (size_t i = 0; i < 3; ++i) {
    CHECK(std::lround(panel.points[0].x[i]) == (i < 2 ? 0 : 1));  // within its kind's stretch
    CHECK(panel.points[0].low[i] <= panel.points[0].y[i]);
  }
  CHECK(panel.points[0].x[0] < panel.points[0].x[1]);
}
