// The explorer as it is served: values of passes against the program's taps, spectra against the
// report's, requests that are refused, and who may ask at all.
#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "analysis/explore/session.h"
#include "analysis/explore/values.h"
#include "analysis/frequency/spectrum.h"
#include "analysis/study/study.h"
#include "models/page_server.h"
#include "tests/explored_networks.h"
#include "tests/message_of.h"
#include "tests/small_models.h"
#include "tests/test_analysis_models.h"
#include "tests/tiny_network.h"

using namespace passband;
using namespace passband::testing;
using nlohmann::json;

namespace {

// The largest difference, in units of the larger of 1 and the largest number.
double worst_of(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  double worst = 0, scale = 1;
  for (size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return worst / scale;
}

ExplorerRequest request_for(const std::shared_ptr<Model>& model, const Dataset& data) {
  return {.title = "a test",
          .networks = {make_subject("it", model)},
          .data = &data,
          .shown = 4,
          .images = 8};
}

constexpr const char* kResult = "the model's result";

// The buffers that taps show under an edit, by their paths; and what the network gives.
std::map<std::string, std::vector<double>> tapped(Model& model, const Dataset& data, int64_t index,
                                                  const std::vector<Edit>& edits) {
  std::map<std::string, std::vector<double>> shown;
  const EditGuard guard(model, edits);
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const ProbeGuard probe(explored_taps(), [&](const TapSite& site, const Tensor& buffer) {
    shown[site.path] = buffer.values();
    return buffer;
  });
  const Tensor picture = edited_pictures(network_images(model, data, {index}), {index}, edits);
  shown[kResult] = model(picture).values();
  return shown;
}

json said(ExploreSession& session, const std::string& path, const json& asked) {
  const PageAnswer answer = session.answer({.method = "POST", .path = path, .body = asked.dump()});
  REQUIRE(answer.status == 200);
  return json::parse(answer.body);
}

// f32 numbers in base64.
std::vector<double> numbers_of(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<uint8_t>(bits >> held));
  }
  std::vector<float> values(bytes.size() / 4);
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * 4);
  return {values.begin(), values.end()};
}

constexpr const char* kBranch = "stages.1.blocks.0.branch";

}  // namespace

TEST_CASE("a served pass under edits is what the taps show, for every family") {
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    const auto model = disturbed(family.name, family.side);
    const Dataset data = random_pictures(8, family.side, 3, 1);
    ExploreSession session(request_for(model, data));
    const NetworkGraph graph = graph_of(*model);
    const std::vector<int64_t> shown = staggered_indices(8, 4);
    std::vector<std::vector<Edit>> tried = tried_edits(graph);
    tried.push_back({});
    for (const std::vector<Edit>& edits : tried) {
      CAPTURE(edits.size());
      const std::vector<Tensor>& values = session.values(0, 1, edits);
      const auto taps = tapped(*model, data, shown[1], edits);
      CHECK(worst_of(values.back().values(), taps.at(kResult)) <= 1e-6);
      // Where no tap is open, kernels are fused, and round otherwise.
      CHECK(worst_of(values.back().values(), logits_of(*model, data, shown[1], edits)) <= 1e-5);
      for (size_t i = 0; i < graph.operations.size(); ++i)
        for (const TapSite& site : graph.operations[i].sites) {
          CAPTURE(site.path);
          if (&site == &graph.operations[i].sites.back())
            CHECK(worst_of(values[i + 1].values(), taps.at(site.path)) <= 1e-6);
        }
    }
  }
}

TEST_CASE("what an edit changes is in the values; what it left behind is not") {
  const auto model = disturbed("C.CM.CM.CM:width=32,heads=1,head_dim=32", 16);
  const Dataset data = random_pictures(8, 16, 3, 1);
  ExploreSession session(request_for(model, data));
  const NetworkGraph graph = graph_of(*model);
  const std::vector<double> before = session.values(0, 0, {}).back().values();
  const Edit edit{EditKind::branch, kBranch};
  const std::vector<Tensor>& values = session.values(0, 0, {edit});
  size_t at = 0;
  for (size_t i = 0; i < graph.operations.size(); ++i)
    for (const TapSite& site : graph.operations[i].sites)
      if (site.path == kBranch) at = i + 1;
  REQUIRE(at > 0);
  for (const double v : values[at].values()) CHECK(v == 0);
  CHECK(values.back().values() != before);
  for (int other = 1; other < 4; ++other) session.values(0, other, {edit});  // pushes passes out
  for (int other = 1; other < 4; ++other) session.values(0, other, {});
  CHECK(session.values(0, 0, {}).back().values() == before);
}

TEST_CASE("answers: logits, numbers, constants, spectra as the report draws them") {
  const auto model = disturbed("CC.CC:preact,width=8", 16);
  const Dataset data = random_pictures(8, 16, 3, 1);
  ExploreSession session(request_for(model, data));
  const NetworkGraph graph = graph_of(*model);
  const json pass = said(session, "/pass", {{"net", 0}, {"picture", 2}, {"edits", json::array()}});
  const std::vector<Tensor>& values = session.values(0, 2, {});
  CHECK(worst_of(pass["logits"], values.back().values()) == 0);
  int blocks = 0;
  for (size_t i = 0; i < graph.operations.size(); ++i)
    for (const TapSite& site : graph.operations[i].sites) {
      if (site.name != "out") continue;
      ++blocks;
      const json& block = pass["blocks"][std::to_string(i + 1)];
      LogAmplitude amplitude;
      amplitude.add(values[i + 1]);
      CHECK(worst_of(block["spectrum"], amplitude.radial()) < 1e-5);
      const std::vector<double> activity = block["activity"], map = values[i + 1].values();
      const auto channels = static_cast<size_t>(values[i + 1].size(3));
      double first = 0;
      for (size_t c = 0; c < channels; ++c) first += std::abs(map[c]) / double(channels);
      CHECK(activity[0] == doctest::Approx(first).epsilon(1e-5));
      const json value =
          said(session, "/value",
               {{"net", 0}, {"picture", 2}, {"edits", json::array()}, {"value", i + 1}});
      CHECK(numbers_of(value["numbers"]) == map);
    }
  CHECK(blocks == 5);
  for (size_t i = 0; i < graph.constants.size(); ++i)
    CHECK(numbers_of(said(session, "/constant", {{"net", 0}, {"index", i}})["numbers"]) ==
          graph.constants[i].value.values());
  // A picture of the reader's own, of the bytes of a grey one.
  const json own =
      said(session, "/pass",
           {{"net", 0}, {"picture", std::vector<int>(16 * 16 * 3, 51)}, {"edits", json::array()}});
  std::vector<float> grey;
  for (size_t i = 0; i < 16 * 16 * 3; ++i)
    grey.push_back((0.2f - data.mean[i % 3]) / data.std[i % 3]);
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  CHECK(worst_of(own["logits"], (*model)(Tensor::from(grey, {1, 16, 16, 3})).values()) <= 1e-5);
}

TEST_CASE("an effect is measured when it is asked for, once") {
  const auto model = disturbed("CC.CC:preact,width=8", 16);
  const Dataset data = random_pictures(8, 16, 3, 1);
  ExplorerRequest request = request_for(model, data);
  int measured = 0;
  request.progress = Progress([&](const Progress::Report&) { ++measured; });
  ExploreSession session(request);
  const Edit edit{EditKind::branch, kBranch};
  const json asked = {{"net", 0}, {"edit", {{"kind", "branch"}, {"path", kBranch}, {"number", 0}}}};
  const json effect = said(session, "/effect", asked);
  const EditEffect expected = measure_effects(*model, data, {edit}, 8, {}).front();
  CHECK(effect["before"] == expected.right.intact);
  CHECK(effect["after"] == expected.right.lesioned);
  CHECK(effect["moved"] == doctest::Approx(expected.moved));
  const int before = measured;
  CHECK(said(session, "/effect", asked) == effect);
  CHECK(measured == before);
  const std::string page = session.answer({.method = "GET", .path = "/"}).body;
  CHECK(page.find("\"after\":") != std::string::npos);  // a page that is loaded again has it
  CHECK(page.find("connect-src 'self'") != std::string::npos);
}

TEST_CASE("requests that are no requests are refused in one line, and change nothing") {
  const auto model = disturbed("CC.CC:preact,width=8", 16);
  const Dataset data = random_pictures(8, 16, 3, 1);
  ExploreSession session(request_for(model, data));
  const std::vector<double> before = session.values(0, 0, {}).back().values();
  const auto refused = [&](const std::string& path, const std::string& body) {
    const std::string text =
        message_of([&] { session.answer({.method = "POST", .path = path, .body = body}); });
    CAPTURE(path);
    CAPTURE(body);
    CAPTURE(text);
    CHECK(text.starts_with("explore: "));
    CHECK(text.find('\n') == std::string::npos);
  };
  for (const char* path : {"/pass", "/value", "/constant", "/effect"})
    for (const char* body :
         {"", "[]", "{", "{}", R"({"net":-1})", R"({"net":1})", R"({"net":"0"})", R"({"net":0})",
          R"({"net":0,"picture":99,"edits":[],"index":-1})",
          R"({"net":0,"picture":[1,2,3],"edits":[],"index":1e9})",
          R"({"net":0,"picture":0,"edits":7,"edit":{"kind":"none"}})",
          R"({"net":0,"picture":0,"edits":[{"kind":"branch","path":"no.where","number":0}],
              "edit":{"kind":"branch","path":"no.where","number":0}})"})
      refused(path, body);
  refused("/value", R"({"net":0,"picture":0,"edits":[],"value":100000})");
  refused("/pass", R"({"net":0,"picture":0,"edits":[{"kind":"low_pass","number":1e300,
                       "path":"stem.out"}]})");
  CHECK(session.answer({.method = "POST", .path = "/none", .body = "{}"}).status == 404);
  CHECK(session.answer({.method = "GET", .path = "/pass"}).status == 404);
  CHECK(session.values(0, 0, {}).back().values() == before);
}

TEST_CASE("at the door: the token, this machine's name, the page's own scripts, GET and POST") {
  const PageRequest good{
      .method = "GET", .path = "/", .token = "0123abcd", .host = "127.0.0.1:8017"};
  const auto door = [&](const auto& change) {
    PageRequest request = good;
    change(request);
    return refusal(request, "0123abcd", 8017);
  };
  CHECK(door([](PageRequest&) {}) == 0);
  CHECK(door([](PageRequest& r) { r.method = "POST"; }) == 0);
  CHECK(door([](PageRequest& r) { r.host = "localhost:8017"; }) == 0);
  for (const char* token : {"", "0123abc", "0123abce", "1123abcd", "0123abcd0"})
    CHECK(door([&](PageRequest& r) { r.token = token; }) == 403);
  for (const char* host : {"", "127.0.0.1", "127.0.0.1:80", "evil.example:8017", "127.0.0.1:80170"})
    CHECK(door([&](PageRequest& r) { r.host = host; }) == 403);
  for (const char* origin : {"", "null", "http://evil.example", "http://127.0.0.1:8018",
                             "https://127.0.0.1:8017", "http://localhost:8017"})
    CHECK(door([&](PageRequest& r) {
            r.has_origin = true;
            r.origin = origin;
          }) == 403);
  CHECK(door([](PageRequest& r) {
          r.has_origin = true;
          r.origin = "http://127.0.0.1:8017";
        }) == 0);
  for (const char* method : {"PUT", "DELETE", "HEAD", "OPTIONS", "get"})
    CHECK(door([&](PageRequest& r) { r.method = method; }) == 405);
}
