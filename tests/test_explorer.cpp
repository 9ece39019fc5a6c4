// The explorer: the graph that a network leaves, numbers of 16 bits, edits, refusals; and pages
// with what the program itself computes for them, which test_explorer.py compares with a browser's.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "analysis/explore/edits.h"
#include "analysis/explore/effects.h"
#include "analysis/explore/explorer.h"
#include "analysis/study/study.h"
#include "tensor/core/file.h"
#include "tests/explored_networks.h"
#include "tests/message_of.h"
#include "tests/small_models.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"

using namespace passband;
using namespace passband::testing;
using nlohmann::json;

namespace {

constexpr const char* kAlternating = "C.CM.CM.CM:width=32,heads=1,head_dim=32";
constexpr const char* kConvolutions = "C.C.C.C:preact,width=32";

json edit_json(const Edit& edit) {
  return {{"kind", name_of(edit.kind)},
          {"path", edit.path},
          {"number", edit.number},
          {"heads", edit.heads},
          {"epsilon", edit.epsilon}};
}

// Writes NAME.html, and NAME.json with the logits of its pictures and of edits.
void write_page(const std::string& file, const std::vector<Subject>& networks, const Dataset& data,
                int64_t pictures) {
  ExplorerRequest request{.title = file, .networks = networks, .measured = 1, .data = &data};
  request.shown = pictures;
  request.images = 8;
  request.most_bytes = 20'000'000;
  request.most_channels = 16;
  const std::string page = explorer_page(request);
  Model& model = *networks[0].model;
  const std::vector<int64_t> indices = staggered_indices(data.count, pictures);
  json expected = {{"logits", json::array()}, {"edits", json::array()}};
  for (const int64_t index : indices)
    expected["logits"].push_back(logits_of(model, data, index, {}));
  for (const std::vector<Edit>& edits : tried_edits(graph_of(model))) {
    json list = json::array();
    for (const Edit& edit : edits) list.push_back(edit_json(edit));
    expected["edits"].push_back(
        {{"edits", list}, {"picture", 1}, {"logits", logits_of(model, data, indices[1], edits)}});
  }
  std::filesystem::create_directories("explorer");
  write_file_atomically("explorer/" + file + ".html", page);
  write_file_atomically("explorer/" + file + ".json", expected.dump());
}

}  // namespace

TEST_CASE("16 bits: every number comes back, others go to the nearest, ties to even") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = half_value(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    CHECK(half_bits(value) == bits);
  }
  CHECK(half_value(0x3c00) == 1.0f);
  CHECK(half_value(0x0001) == std::ldexp(1.0f, -24));
  CHECK(half_value(0x7bff) == 65504.0f);
  CHECK(half_value(half_bits(0.1f)) == doctest::Approx(0.0999755859375).epsilon(1e-12));
  CHECK(half_value(half_bits(2049.0f)) == 2048.0f);  // between 2048 and 2050: to even
  CHECK(half_value(half_bits(2051.0f)) == 2052.0f);
  CHECK(half_bits(65519.0f) == 0x7bff);
  CHECK(half_bits(65520.0f) == 0x7c00);
  CHECK(std::isinf(half_value(half_bits(1e9f))));
  CHECK(half_bits(-0.0f) == 0x8000);
}

TEST_CASE("the graph of a network holds its weights, once, and shows its taps") {
  const auto model = disturbed(kAlternating, 16);
  const NetworkGraph graph = graph_of(*model);
  std::map<std::string, int> named;
  for (const GraphConstant& constant : graph.constants)
    if (!constant.name.empty()) ++named[constant.name];
  for (const ParameterRef& p : model->store().parameters()) CHECK(named[p->name] == 1);
  std::map<std::string, int> shown;
  for (const GraphOperation& operation : graph.operations)
    for (const TapSite& site : operation.sites) ++shown[site.name];
  CHECK(shown["attention"] == 3);  // C.CM.CM.CM
  CHECK(shown["branch"] == 7);
  CHECK(shown["out"] == 8);
  CHECK(shown["logits"] == 1);
  CHECK(graph.operations.back().shape == Shape{1, 3});
  // Nothing reads what comes after it.
  for (size_t i = 0; i < graph.operations.size(); ++i)
    for (const GraphInput& input : graph.operations[i].inputs)
      if (input.from == GraphInput::From::value) CHECK(input.index <= i);
}

TEST_CASE("edits do what they say, and leave the network as it was") {
  const auto model = disturbed(kAlternating, 16);
  const Dataset data = random_pictures(4, 16, 3, 1);
  const std::vector<double> before = logits_of(*model, data, 2, {});
  std::map<EditKind, int> kinds;
  for (const Edit& edit : edits_of(graph_of(*model), 100'000)) {
    ++kinds[edit.kind];
    if (edit.kind != EditKind::channel || edit.number < 2)
      CHECK(logits_of(*model, data, 2, {edit}) != before);
  }
  CHECK(kinds[EditKind::branch] == 7);
  CHECK(kinds[EditKind::head] == 2 + 4 + 8);  // doubled from stage to stage
  CHECK(kinds[EditKind::uniform] == 3);
  CHECK(kinds[EditKind::noise] == 8);
  CHECK(logits_of(*model, data, 2, {}) == before);
}

TEST_CASE("a low and a high pass at one frequency add up to the map") {
  const auto model = disturbed(kConvolutions, 16);
  const Dataset data = random_pictures(2, 16, 3, 1);
  const Tensor images = network_images(*model, data, {0, 1});
  const auto outputs = [&](std::vector<Edit> edits) {
    const NoGrad no_grad;
    const ContextGuard mode({.training = false, .compute = DType::f32});
    const EditGuard guard(*model, edits);
    std::vector<double> seen;
    const ProbeGuard probe({"out"}, [&](const TapSite& site, const Tensor& buffer) {
      if (site.path == "stem.out") seen = buffer.values();
      return buffer;
    });
    (*model)(images);
    return seen;
  };
  const auto whole = outputs({}), low = outputs({{EditKind::low_pass, "stem.out", 0.4}}),
             high = outputs({{EditKind::high_pass, "stem.out", 0.4}});
  double worst = 0, moved = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    worst = std::max(worst, std::abs(low[i] + high[i] - whole[i]));
    moved = std::max(moved, std::abs(high[i]));
  }
  CHECK(worst < 1e-5);
  CHECK(moved > 0.1);
}

TEST_CASE("effects count what edits do; pictures take turns") {
  CHECK(staggered_indices(10, 5) == std::vector<int64_t>{0, 3, 4, 7, 8});
  CHECK(staggered_indices(3, 5) == std::vector<int64_t>{0, 1, 2});
  const auto model = disturbed(kConvolutions, 16);
  const Dataset data = random_pictures(12, 16, 3, 1);
  const std::vector<Edit> edits = {{EditKind::branch, "stages.1.blocks.0.branch"}};
  const EditEffect effect = measure_effects(*model, data, edits, 12, {}).front();
  int64_t right = 0, kept = 0, changed = 0;
  for (int64_t i = 0; i < 12; ++i) {
    const auto best = [](const std::vector<double>& x) {
      return std::ranges::max_element(x) - x.begin();
    };
    const auto was = best(logits_of(*model, data, i, {})),
               is = best(logits_of(*model, data, i, edits));
    right += was == data.labels[static_cast<size_t>(i)];
    kept += is == data.labels[static_cast<size_t>(i)];
    changed += was != is;
  }
  CHECK(effect.right.intact == right);
  CHECK(effect.right.lesioned == kept);
  CHECK(effect.changed == changed);
  CHECK(count_right(*model, data, 12).right == right);
}

TEST_CASE("a page refuses what it cannot hold, in one line") {
  const Dataset data = random_pictures(4, 32, 3, 1);
  ExplorerRequest request{.networks = {make_subject("resnet18", make_model("resnet18", {3, 32}))},
                          .data = &data};
  const std::string large = message_of([&] { explorer_page(request); });
  CAPTURE(large);
  CHECK(large.starts_with("--explore: the weights of resnet18 need 29.9 MB, a page holds 7.5 MB"));
  CHECK(large.find('\n') == std::string::npos);
  const auto other = make_subject("small", make_model("resnet", {3, 16}));
  request.networks = {make_subject("resnet", make_model("resnet", {3, 32})), other};
  CHECK(message_of([&] { explorer_page(request); }).find("small takes pictures of 16 pixels") !=
        std::string::npos);
}

TEST_CASE("pages of every family") {
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    std::string file = family.name;
    for (char& c : file)
      if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    const Dataset data = random_pictures(120, family.side, 3, 1);
    write_page(file, {make_subject(family.name, disturbed(family.name, family.side))}, data,
               family.side > 32 ? 10 : 100);
  }
}

TEST_CASE("pages of the quick networks at their own size, two of them side by side") {
  const Dataset data = random_pictures(40, 32, 3, 1);
  for (const char* name : {"resnet", "lambda_resnet", "vit"})
    write_page(std::string("quick_") + name, {make_subject(name, disturbed(name, 32))}, data, 8);
  write_page("quick_alternet",
             {make_subject("alternet", disturbed("alternet", 32)),
              make_subject("alternet, other weights", disturbed("alternet", 32, 2))},
             data, 8);
  write_page("quick_airbench94", {make_subject("airbench94", disturbed("airbench94", 32))}, data,
             8);
}
