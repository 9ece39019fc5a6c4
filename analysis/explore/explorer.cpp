#include "analysis/explore/explorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/explore/effects.h"
#include "analysis/explore/explorer_data.h"
#include "analysis/explore/explorer_html.h"
#include "analysis/report/text.h"
#include "analysis/study/finite.h"
#include "tensor/autograd/node.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

using nlohmann::json;

void refuse_large(const ExplorerRequest& request, const std::string& label,
                  const NetworkGraph& graph) {
  const double need = static_cast<double>(graph.bytes()) * 4 / 3;  // in base64
  if (need <= static_cast<double>(request.most_bytes)) return;
  throw UsageError(
      fmt::format("--explore: the weights of {} need {:.1f} MB, a page holds {:.1f} MB of each "
                  "network; --serve runs it in the program, or explore a smaller one, as the quick "
                  "ones of `./train --list`",
                  label, need / 1e6, static_cast<double>(request.most_bytes) / 1e6));
}

void refuse_unknown(const std::string& label, const NetworkGraph& graph) {
  const std::vector<std::string>& known = explorer_operations();
  for (const GraphOperation& operation : graph.operations)
    if (std::ranges::find(known, operation.name) == known.end())
      throw UsageError(
          fmt::format("--explore: {} runs the operation {}, which the page can not; explore a "
                      "network of another family",
                      label, operation.name));
}

// Logits of the first pictures, to tell what rounding did.
Tensor some_logits(const Model& model, const Dataset& data, int64_t count) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  return finite_logits(model, network_images(model, data, spread_indices(data.count, count)));
}

json rounding_of(const Tensor& before, const Tensor& after) {
  const std::vector<double> a = before.values(), b = after.values();
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  const std::vector<int64_t> first = classes_of(before), second = classes_of(after);
  int64_t same = 0;
  for (size_t i = 0; i < first.size(); ++i) same += first[i] == second[i];
  return {{"pictures", first.size()}, {"most", most}, {"same", same}};
}

// Networks with what the page says of them; graphs that are alike once.
struct Networks {
  json list = json::array(), graphs = json::array();
  std::vector<std::string> weights;  // base64
};

void add_network(const ExplorerRequest& request, size_t i, const NetworkGraph& graph,
                 const json& rounding, Networks& networks) {
  const Subject& subject = request.networks[i];
  const json drawn = graph_json(graph);
  size_t at = 0;
  while (at < networks.graphs.size() && networks.graphs[at] != drawn) ++at;
  if (at == networks.graphs.size()) networks.graphs.push_back(drawn);
  networks.weights.push_back(base64(constant_bytes(graph)));
  const std::vector<Edit> edits = i < request.measured
                                      ? edits_of(graph, i == 0 ? request.most_channels : 0)
                                      : std::vector<Edit>{};
  subject.model->to(request.device);
  const auto parts = std::ssize(request.networks);
  const auto effects =
      measure_effects(*subject.model, *request.data, edits, request.images,
                      request.progress.part(static_cast<int64_t>(i), parts, subject.label));
  json told = network_json(subject);
  told["graph"] = at;
  told["rounding"] = rounding;
  told["intact"] = intact_json(count_right(*subject.model, *request.data, request.images));
  told["effects"] = effects_json(effects);
  networks.list.push_back(std::move(told));
}

json data_json(const ExplorerRequest& request, Networks& networks) {
  json out = set_json(request.title, *request.networks[0].model, *request.data, request.shown);
  out["networks"] = std::move(networks.list);
  out["graphs"] = std::move(networks.graphs);
  out["beside"] = request.side_by_side ? 1 : 0;
  return out;
}

// What the report has for whoever runs no script.
std::string links_to(const std::vector<std::string>& sections) {
  std::string links;
  for (const std::string& name : sections)
    links += fmt::format("{}<a href=\"index.html#{}\">{}</a>", links.empty() ? "It has " : ", ",
                         escape_xml(name), escape_xml(name));
  return links +
         (links.empty() ? "There is none yet: <code>./analyze --run last</code> makes it." : ".");
}

}  // namespace

std::string figures_html(const std::vector<StoredPicture>& pictures) {
  std::string out;
  for (const StoredPicture& picture : pictures) {
    const std::vector<uint8_t> bytes(picture.svg.begin(), picture.svg.end());
    out += fmt::format(
        "<figure><img src=\"data:image/svg+xml;base64,{}\" alt=\"{}\"><figcaption>{}"
        "</figcaption></figure>\n",
        base64(bytes), escape_xml(picture.alt), escape_xml(picture.title));
  }
  return out;
}

std::string explorer_page(const ExplorerRequest& request) {
  CHECK(!request.networks.empty() && request.data, "the explorer needs a network and pictures");
  const int64_t side = request.networks[0].model->options().image_size;
  std::vector<NetworkGraph> graphs;
  std::vector<json> rounding;
  for (const Subject& subject : request.networks) {
    if (subject.model->options().image_size != side)
      throw UsageError(fmt::format(
          "--explore: {} takes pictures of {} pixels, {} of {}; networks "
          "side by side see the same picture",
          subject.label, subject.model->options().image_size, request.networks[0].label, side));
    constexpr int64_t kCompared = 100;
    const Tensor before = some_logits(*subject.model, *request.data, kCompared);
    round_to_halves(*subject.model);
    rounding.push_back(rounding_of(before, some_logits(*subject.model, *request.data, kCompared)));
    graphs.push_back(graph_of(*subject.model));
    refuse_unknown(subject.label, graphs.back());
    refuse_large(request, subject.label, graphs.back());
  }
  Networks networks;
  for (size_t i = 0; i < graphs.size(); ++i)
    add_network(request, i, graphs[i], rounding[i], networks);
  const json data = data_json(request, networks);
  return explorer_html({.title = request.title,
                        .report = links_to(request.sections),
                        .figures = figures_html(request.pictures),
                        .data = data.dump(-1, ' ', false, json::error_handler_t::replace),
                        .weights = std::move(networks.weights)});
}

const std::vector<std::string>& explorer_operations() {
  static const std::vector<std::string> names = {"add",
                                                 "attention_output",
                                                 "attention_probabilities",
                                                 "avg_pool2d",
                                                 "batch_norm",
                                                 "concat",
                                                 "conv2d",
                                                 "div",
                                                 "erf",
                                                 "exp",
                                                 "expand",
                                                 "gather",
                                                 "gelu",
                                                 "gelu_tanh",
                                                 "global_avg_pool",
                                                 "group_norm",
                                                 "lambda_layer",
                                                 "layer_norm",
                                                 "linear",
                                                 "matmul",
                                                 "max_pool2d",
                                                 "mul",
                                                 "pad",
                                                 "permute",
                                                 "relu",
                                                 "reshape",
                                                 "roll",
                                                 "rsqrt",
                                                 "sigmoid",
                                                 "silu",
                                                 "slice",
                                                 "softmax",
                                                 "sqrt",
                                                 "square",
                                                 "sub",
                                                 "sum",
                                                 "tanh"};
  return names;
}

}  // namespace passband
