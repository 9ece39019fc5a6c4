// The page of a training that runs: what it is told, against the lines of the log and against the
// network itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/frequency/spectrum.h"
#include "analysis/study/study.h"
#include "models/ring_spectrum.h"
#include "nn/context.h"
#include "nn/tap.h"
#include "tensor/autograd/node.h"
#include "tensor/core/error.h"
#include "tensor/ops/softmax.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"
#include "train/live/live_view.h"

using namespace passband;
using namespace passband::testing;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

fs::path empty_folder(const char* name) {
  const fs::path folder = fs::temp_directory_path() / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void add_line(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::app) << text;
}

std::string step_line(int step) {
  return json{{"step", step}, {"epoch", 1}, {"split", "train"}, {"loss", step}, {"accuracy", 0.5}}
             .dump() +
         "\n";
}

}  // namespace

TEST_CASE("curves: whole lines as they come, means of equal runs of steps, null for no number") {
  const fs::path file = empty_folder("passband-live-metrics") / "metrics.jsonl";
  MetricsReader reader(file);
  reader.read_on();  // there is none yet
  CHECK(reader.curves(4)["train"].empty());
  add_line(file, step_line(1) + step_line(2) + R"({"step": 3, "spl)");
  reader.read_on();
  CHECK(reader.curves(4)["train"].size() == 2);
  add_line(file, R"(it": "train", "epoch": 1, "loss": 3, "accuracy": 0.5})"
                 "\n");
  for (int step = 4; step <= 10; ++step) add_line(file, step_line(step));
  add_line(file, R"({"step": 10, "epoch": 1, "split": "test", "loss": null, "top1": 0.25})"
                 "\n");
  reader.read_on();
  const json curves = reader.curves(4);
  CHECK(curves["train"].size() == 4);  // 3 + 3 + 3 + 1
  CHECK(curves["train"][1]["loss"] == 5.0);
  CHECK(curves["train"][1]["step"] == 6);
  CHECK(curves["train"][3]["loss"] == 10.0);
  CHECK(json::parse(curves.dump())["evaluations"][0]["loss"].is_null());
  CHECK(curves["evaluations"][0]["top1"] == 0.25);
  fs::remove_all(file.parent_path());
}

TEST_CASE(
    "rings of an odd side are counted in steps of frequency, corners beyond the last left out") {
  std::vector<double> map;
  for (int64_t u = 0; u < 5; ++u)
    for (int64_t v = 0; v < 5; ++v)
      map.push_back(7 + std::round(std::hypot(std::min(u, 5 - u), std::min(v, 5 - v))));
  CHECK(ring_means(map, 5, 5) == std::vector<double>{0, 1, 2});
}

TEST_CASE("a look at a network: its answers, and spectra as the report draws them") {
  try {
    require_page_server();
  } catch (const UsageError&) {
    MESSAGE("nothing looked at: this build serves no pages");
    return;
  }
  const fs::path run = empty_folder("passband-live-look");
  const std::shared_ptr<Model> model =
      make_model("CC.CC:preact,width=8", {.classes = 3, .image_size = 16, .seed = 1});
  const Dataset data = random_pictures(12, 16, 3, 1);
  LiveView view(run, "a <title>", data, 16, kFirstPort);
  view.look(*model, 7);
  const json state = json::parse(view.state());
  REQUIRE(state["layers"].size() == 3);
  CHECK(state["layers"][1]["path"] == "stages.0.blocks.1.out");
  CHECK(state["layers"][1]["side"] == 16);
  CHECK(state["layers"][2]["path"] == "stages.1.blocks.1.out");
  CHECK(state["layers"][2]["side"] == 8);
  std::map<std::string, std::vector<double>> lines;
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& buffer) {
    LogAmplitude amplitude;
    amplitude.add(buffer);
    lines[site.path] = amplitude.radial();
    return buffer;
  });
  std::vector<int64_t> all(12);
  for (int64_t i = 0; i < 12; ++i) all[static_cast<size_t>(i)] = i;
  const std::vector<double> expected =
      softmax((*model)(network_images(*model, data, all))).values();
  // All twelve pictures are shown, in an order of their own: sums do not know it.
  std::vector<double> found_sums(3), sums(3);
  const json& rows = state["pictures"]["probabilities"];
  REQUIRE(rows.size() == 12);
  for (size_t i = 0; i < 36; ++i) {
    sums[i % 3] += expected[i];
    found_sums[i % 3] += rows[i / 3][i % 3].get<double>();
  }
  for (size_t c = 0; c < 3; ++c) CHECK(found_sums[c] == doctest::Approx(sums[c]).epsilon(2e-3));
  CHECK(state["spectra"].size() == 1);
  CHECK(state["spectra"][0]["epoch"] == 7);
  for (size_t layer = 0; layer < 3; ++layer) {
    const std::vector<double> line = state["spectra"][0]["layers"][layer];
    const std::vector<double>& wanted = lines.at(state["layers"][layer]["path"]);
    REQUIRE(line.size() == wanted.size());
    for (size_t i = 0; i < line.size(); ++i) CHECK(std::abs(line[i] - wanted[i]) < 1e-3);
  }
  for (int epoch = 8; epoch < 60; ++epoch) view.look(*model, epoch);
  const json later = json::parse(view.state());
  CHECK(later["spectra"].size() == 24);
  CHECK(later["spectra"].front()["epoch"] == 7);
  CHECK(later["spectra"].back()["epoch"] == 59);
  fs::remove_all(run);
}
