#include "analysis/explore/session.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "analysis/explore/explorer_data.h"
#include "analysis/explore/explorer_html.h"
#include "analysis/explore/values.h"
#include "analysis/report/text.h"
#include "analysis/study/finite.h"
#include "tensor/autograd/node.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

using nlohmann::json;

constexpr size_t kMostPasses = 6;  // kept: two networks before and after, and the steps' pictures

PageAnswer as_answer(const json& body) {
  return {200, "application/json", body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

std::string numbers_text(const Tensor& value) {
  std::vector<float> numbers;
  for (const double v : value.values()) numbers.push_back(static_cast<float>(v));
  std::vector<uint8_t> bytes(numbers.size() * 4);
  if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return base64(bytes);
}

// A whole number from 0 to below `count`.
int64_t whole_of(const json& asked, const char* name, int64_t count) {
  const auto found = asked.find(name);
  CHECK(found != asked.end() && found->is_number_integer(), "explore: ", name,
        " is not a whole number");
  const auto value = found->get<int64_t>();
  CHECK(value >= 0 && value < count, "explore: ", name, " ", value, " is not below ", count);
  return value;
}

EditKind kind_of(const std::string& name) {
  for (const EditKind kind :
       {EditKind::branch, EditKind::head, EditKind::channel, EditKind::uniform,
        EditKind::mean_kernel, EditKind::low_pass, EditKind::high_pass, EditKind::noise})
    if (name_of(kind) == name) return kind;
  throw Error("explore: there is no edit " + name);
}

// Whether the network has what the edit changes.
bool has_place(const NetworkGraph& graph, const Edit& edit) {
  if (edit.kind == EditKind::noise) return true;
  if (edit.kind == EditKind::mean_kernel)
    return std::ranges::any_of(graph.constants, [&](const GraphConstant& constant) {
      return constant.name == edit.path && constant.value.rank() == 4;
    });
  return std::ranges::any_of(graph.operations, [&](const GraphOperation& operation) {
    return std::ranges::any_of(operation.sites,
                               [&](const TapSite& site) { return site.path == edit.path; });
  });
}

Edit edit_of(const json& asked, const NetworkGraph& graph) {
  Edit edit{.kind = kind_of(asked.at("kind").get<std::string>()),
            .path = asked.at("path").get<std::string>(),
            .number = asked.at("number").get<double>(),
            .heads = asked.value("heads", 0.0),
            .epsilon = asked.value("epsilon", 0.0)};
  for (const double number : {edit.number, edit.heads, edit.epsilon})
    CHECK(std::isfinite(number) && std::abs(number) <= 1e9, "explore: ", number,
          " is no number of an edit");
  CHECK(has_place(graph, edit), "explore: there is nothing at ", edit.path, " for the edit ",
        name_of(edit.kind));
  return edit;
}

std::vector<Edit> edits_asked(const json& asked, const NetworkGraph& graph) {
  std::vector<Edit> edits;
  for (const json& one : asked.at("edits")) edits.push_back(edit_of(one, graph));
  return edits;
}

// A picture of bytes (side, side, 3), as the network sees it.
Tensor picture_of(const json& bytes, int64_t side, const Dataset& data) {
  CHECK(std::ssize(bytes) == side * side * 3, "explore: a picture has ", side * side * 3,
        " bytes, not ", bytes.size());
  std::vector<float> values;
  for (size_t i = 0; i < bytes.size(); ++i)
    values.push_back((static_cast<float>(bytes[i].get<uint8_t>()) / 255 - data.mean[i % 3]) /
                     data.std[i % 3]);
  return Tensor::from(values, {1, side, side, 3});
}

const TapSite* block_site(const GraphOperation& operation) {
  const auto found = std::ranges::find(operation.sites, "out", &TapSite::name);
  return found == operation.sites.end() ? nullptr : &*found;
}

bool same_edit(const Edit& a, const Edit& b) {
  return a.kind == b.kind && a.path == b.path && a.number == b.number && a.heads == b.heads &&
         a.epsilon == b.epsilon;
}

}  // namespace

ExploreSession::ExploreSession(ExplorerRequest request) : request_(std::move(request)) {
  CHECK(!request_.networks.empty() && request_.data, "the explorer needs a network and pictures");
  const Model& first = *request_.networks[0].model;
  const int64_t side = first.options().image_size;
  indices_ = shown_indices(first, *request_.data, request_.shown);
  for (size_t i = 0; i < request_.networks.size(); ++i) {
    const Subject& subject = request_.networks[i];
    Model& model = *subject.model;
    if (model.options().image_size != side)
      throw UsageError(concat_text("--serve: ", subject.label, " takes pictures of ",
                                   model.options().image_size, " pixels, ",
                                   request_.networks[0].label, " of ", side,
                                   "; networks side by side see the same picture"));
    model.to(request_.device);
    const Intact intact = count_right(model, *request_.data, request_.images);
    model.to({});
    networks_.push_back({subject, graph_of(model), intact});
    request_.progress(static_cast<int64_t>(i) + 1, std::ssize(request_.networks), "networks");
  }
}

std::string ExploreSession::page() const {
  json data = set_json(request_.title, *networks_[0].subject.model, *request_.data, request_.shown);
  data["served"] = {{"images", request_.images}};
  data["beside"] = request_.side_by_side ? 1 : 0;
  for (const Network& network : networks_) {
    const json drawn = graph_json(network.graph);
    json& graphs = data["graphs"];
    size_t at = 0;
    while (at < graphs.size() && graphs[at] != drawn) ++at;
    if (at == graphs.size()) graphs.push_back(drawn);
    json told = network_json(network.subject);
    told["graph"] = at;
    told["intact"] = intact_json(network.intact);
    told["effects"] = effects_json(network.effects);
    data["networks"].push_back(std::move(told));
  }
  return explorer_html({.title = request_.title,
                        .report = "It lies in the run's folder, as report/index.html.",
                        .figures = figures_html(request_.pictures),
                        .data = data.dump(-1, ' ', false, json::error_handler_t::replace),
                        .weights = {},
                        .served = true});
}

PageAnswer ExploreSession::answer(const PageRequest& request) {
  if (request.method == "GET" && request.path == "/") return {.body = page()};
  if (request.method != "POST") return {404, "text/plain", "There is one page here, at /."};
  const json asked = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  CHECK(asked.is_object(), "explore: the request is not JSON");
  try {
    if (request.path == "/pass") return as_answer(pass_json(asked));
    if (request.path == "/value") return as_answer(value_json(asked));
    if (request.path == "/constant") return as_answer(constant_json(asked));
    if (request.path == "/effect") return as_answer(effect_json(asked));
  } catch (const json::exception& error) {
    throw Error(concat_text("explore: the request is not as it should be: ", error.what()));
  }
  return {404, "text/plain", "Nothing is asked for there."};
}

size_t ExploreSession::network_of(const json& asked) const {
  return static_cast<size_t>(whole_of(asked, "net", std::ssize(networks_)));
}

const std::vector<Tensor>& ExploreSession::pass(const std::string& key, size_t network,
                                                const Tensor& picture,
                                                const std::vector<int64_t>& index,
                                                const std::vector<Edit>& edits) {
  const auto found = std::ranges::find(passes_, key, &Pass::key);
  if (found != passes_.end()) {
    passes_.splice(passes_.begin(), passes_, found);
    return passes_.front().values;
  }
  Network& chosen = networks_[network];
  passes_.push_front({key, graph_values(*chosen.subject.model, chosen.graph,
                                        edited_pictures(picture, index, edits), edits)});
  if (passes_.size() > kMostPasses) passes_.pop_back();
  return passes_.front().values;
}

const std::vector<Tensor>& ExploreSession::values(size_t network, int64_t picture,
                                                  const std::vector<Edit>& edits) {
  const std::vector<int64_t> index{indices_.at(static_cast<size_t>(picture))};
  json key = {network, picture};
  for (const Edit& edit : edits)
    key.push_back({name_of(edit.kind), edit.path, edit.number, edit.heads, edit.epsilon});
  const Model& model = *networks_[network].subject.model;
  return pass(key.dump(), network, network_images(model, *request_.data, index), index, edits);
}

const std::vector<Tensor>& ExploreSession::asked_values(const json& asked) {
  const size_t network = network_of(asked);
  const std::vector<Edit> edits = edits_asked(asked, networks_[network].graph);
  if (asked.at("picture").is_number())
    return values(network, whole_of(asked, "picture", std::ssize(indices_)), edits);
  const int64_t side = networks_[network].subject.model->options().image_size;
  const json key = {network, asked.at("picture"), asked.at("edits")};
  return pass(key.dump(), network, picture_of(asked.at("picture"), side, *request_.data), {0},
              edits);
}

json ExploreSession::pass_json(const json& asked) {
  const std::vector<Tensor>& made = asked_values(asked);
  const NetworkGraph& graph = networks_[network_of(asked)].graph;
  json blocks = json::object();
  for (size_t i = 0; i < graph.operations.size(); ++i) {
    const TapSite* site = block_site(graph.operations[i]);
    if (!site || site->height < 1) continue;
    blocks[std::to_string(i + 1)] = {{"activity", activity_of(*site, made[i + 1])},
                                     {"spectrum", ring_spectrum_of(*site, made[i + 1])}};
  }
  return {{"logits", made.back().values()}, {"blocks", blocks}};
}

json ExploreSession::value_json(const json& asked) {
  const std::vector<Tensor>& made = asked_values(asked);
  const NetworkGraph& graph = networks_[network_of(asked)].graph;
  const auto at = static_cast<size_t>(whole_of(asked, "value", std::ssize(made)));
  json out = {{"numbers", numbers_text(made[at])}};
  if (at == 0) return out;
  for (const TapSite& site : graph.operations[at - 1].sites)
    if (site.height > 0 && site.name != "attention" && made[at].rank() != 2 &&
        !out.contains("spectrum"))
      out["spectrum"] = ring_spectrum_of(site, made[at]);
  return out;
}

json ExploreSession::constant_json(const json& asked) const {
  const NetworkGraph& graph = networks_[network_of(asked)].graph;
  const int64_t at = whole_of(asked, "index", std::ssize(graph.constants));
  return {{"numbers", numbers_text(graph.constants[static_cast<size_t>(at)].value)}};
}

json ExploreSession::effect_json(const json& asked) {
  Network& network = networks_[network_of(asked)];
  const Edit edit = edit_of(asked.at("edit"), network.graph);
  const auto found = std::ranges::find_if(
      network.effects, [&](const EditEffect& effect) { return same_edit(effect.edit, edit); });
  if (found != network.effects.end()) return effects_json({*found}).front();
  Model& model = *network.subject.model;
  const auto measured = [&] {
    model.to(request_.device);
    return measure_effects(model, *request_.data, {edit}, request_.images, request_.progress);
  };
  try {
    network.effects.push_back(measured().front());
  } catch (...) {
    model.to({});
    throw;
  }
  model.to({});
  return effects_json({network.effects.back()}).front();
}

}  // namespace passband
