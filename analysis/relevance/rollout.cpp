// Traces of attention, and the chain of steps that relevance takes.
#include "analysis/relevance/rollout.h"

#include "analysis/relevance/hydra_maps.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "analysis/relevance/block_transport.h"
#include "analysis/study/finite.h"
#include "analysis/study/frozen_parameters.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/gather.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

bool same_grid(const TapSite& a, const TapSite& b) {
  return a.height == b.height && a.width == b.width && a.prefix == b.prefix;
}

Tensor one_hot_seed(const Tensor& logits, const std::vector<int64_t>& classes) {
  CHECK(static_cast<int64_t>(classes.size()) == logits.size(0), "rollout: ", classes.size(),
        " classes for ", logits.size(0), " pictures");
  const std::vector<double> labels(classes.begin(), classes.end());
  return one_hot(Tensor::from(labels, {logits.size(0)}, DType::i32, logits.device()),
                 logits.size(1), logits.dtype());
}

// Relevance in the highest layer: the places of positive weight, or what the classifier reads.
std::vector<double> start_of(const TapSite& top, const double* weights) {
  const int64_t places = places_of(top), cells = places - top.prefix;
  std::vector<double> start(static_cast<size_t>(places));
  double total = 0;
  for (int64_t i = 0; weights && i < places; ++i)
    total += start[static_cast<size_t>(i)] = std::max(weights[i], 0.0);
  if (total > 0) {
    for (double& value : start) value /= total;
  } else if (top.prefix > 0) {
    start[0] = 1;
  } else {
    std::ranges::fill(start, 1.0 / static_cast<double>(cells));
  }
  return start;
}

using Transports = std::vector<Transport>;  // by layer

Transports convolutions_of(const Model& model, const Tensor& images, int64_t picture) {
  const int64_t size = images.numel() / images.size(0);
  const Tensor image = images.view(picture * size, Shape{1, images.size(1), images.size(2), 3});
  Transports result;
  for (BlockTransport& block : block_transports(model, image, {.without_attention = true}))
    result.push_back(std::move(block.transport));
  return result;
}

// Relevance (N, places) f64 one layer down; transport_of(n) is the step of picture n.
template <class TransportOf>
Tensor carried(const Tensor& relevance, const TransportOf& transport_of) {
  const auto pictures = static_cast<size_t>(relevance.size(0)),
             places = static_cast<size_t>(relevance.size(1));
  const std::vector<double> above = relevance.values();
  std::vector<double> below;
  for (size_t n = 0; n < pictures; ++n) {
    const auto first = above.begin() + static_cast<int64_t>(n * places);
    const std::vector<double> own =
        transport_of(n).carry({first, first + static_cast<int64_t>(places)});
    below.insert(below.end(), own.begin(), own.end());
  }
  const int64_t width = std::ssize(below) / relevance.size(0);
  return Tensor::from(below, {relevance.size(0), width}, DType::f64, relevance.device());
}

// From one grid to another, a cell's share spread evenly over what it covers.
Tensor over_area(const Tensor& relevance, const TapSite& from, const TapSite& to) {
  if (same_grid(from, to)) return relevance;
  const Transport step = area_transport(from, to);
  return carried(relevance, [&](size_t) -> const Transport& { return step; });
}

// From the highest layer to the lowest. `convolutions` by picture; empty: ConvolutionStep::area.
Tensor roll_down(const Trace& trace, Tensor relevance, const AttentionStepOptions& options,
                 const std::vector<Transports>& convolutions) {
  for (size_t l = trace.layers.size() - 1; l > 0; --l) {
    const TracedLayer& layer = trace.layers[l];
    const TapSite& below = trace.layers[l - 1].site;
    if (!convolutions.empty() && convolutions[0][l].rows() > 0) {
      relevance =
          carried(relevance, [&](size_t n) -> const Transport& { return convolutions[n][l]; });
      continue;
    }
    if (!layer.probabilities.defined()) {
      relevance = over_area(relevance, layer.site, below);
      continue;
    }
    // A block may pool or merge before its attention or after it.
    relevance = over_area(relevance, layer.site, layer.attention);
    relevance = AttentionStep(layer.attention, layer.probabilities, layer.gradients, options)
                    .carry(relevance);
    relevance = over_area(relevance, layer.attention, below);
  }
  return relevance;
}

}  // namespace

Trace trace(const Model& model, const Tensor& images, const std::vector<int64_t>& classes) {
  const RecordGuard recording(!classes.empty());
  const ContextGuard mode({.training = false});
  const FrozenParameters frozen(model.store());
  Trace result;
  TracedLayer pending;
  std::vector<Tensor> inner;  // probabilities as parts of the graph
  Tensor queries;
  const auto see = [&](const TapSite& site, const Tensor& buffer) {
    if (site.name == "hydra_query") return queries = buffer;
    if (site.name == "hydra_key") {
      pending.attention = site;
      pending.probabilities = naive_attention(site, queries, buffer);
      return buffer;
    }
    if (site.name == "out") {
      pending.site = site;
      result.layers.push_back(std::exchange(pending, {}));
      return buffer;
    }
    const Tensor shown = classes.empty() || buffer.tracked() ? buffer : buffer.leaf();
    pending.attention = site;
    pending.probabilities = buffer.detach();
    inner.push_back(shown);
    return shown;
  };
  const ProbeGuard probe({"attention", "hydra_query", "hydra_key", "out"}, see);
  result.logits = finite_logits(model, images);
  if (classes.empty() || inner.empty()) return result;
  const std::vector<Tensor> gradients = grad(
      result.logits, inner, {.seed = one_hot_seed(result.logits, classes), .allow_unused = true});
  size_t next = 0;
  for (TracedLayer& layer : result.layers)
    if (layer.attention.name == "attention") layer.gradients = gradients[next++].detach();
  result.logits = result.logits.detach();
  return result;
}

std::vector<RelevanceMaps> rollouts(const Model& model, const Tensor& images,
                                    const std::vector<RolloutSettings>& settings,
                                    const std::vector<int64_t>& classes) {
  const bool by_norms = std::ranges::any_of(
      settings, [](const auto& s) { return s.convolution == ConvolutionStep::norms; });
  const bool weighted = std::ranges::any_of(
      settings, [](const auto& s) { return s.start == RolloutStart::class_weighted; });
  const bool knows_class = std::ranges::any_of(
      settings, [](const auto& s) { return s.attention.rule != RolloutRule::attention; });
  const int64_t count = images.size(0);
  const Trace traced = trace(model, images, knows_class ? classes : std::vector<int64_t>{});
  const TapSite &top = traced.layers.back().site, &bottom = traced.layers.front().site;
  ReadOut read;
  if (weighted) read = read_out(model, images, classes);
  std::vector<Transports> convolutions;
  const std::vector<Transports> none;
  for (int64_t n = 0; by_norms && n < count; ++n)
    convolutions.push_back(convolutions_of(model, images, n));
  std::vector<RelevanceMaps> maps;
  for (const RolloutSettings& s : settings) {
    std::vector<double> starts;
    for (int64_t n = 0; n < count; ++n) {
      const bool reads = s.start == RolloutStart::class_weighted;
      const std::vector<double> start = start_of(
          top, reads ? &read.contributions[static_cast<size_t>(n * read.places)] : nullptr);
      starts.insert(starts.end(), start.begin(), start.end());
    }
    const Tensor start = Tensor::from(starts, {count, places_of(top)}, DType::f64, images.device());
    const Tensor relevance = roll_down(
        traced, start, s.attention, s.convolution == ConvolutionStep::norms ? convolutions : none);
    NoGrad no_grad;
    maps.push_back({count, bottom.height, bottom.width,
                    slice(relevance, 1, bottom.prefix, bottom.height * bottom.width).values()});
    check_finite(model, maps.back().values, "its maps of relevance");
  }
  return maps;
}

double correlation(std::span<const double> a, std::span<const double> b) {
  const auto count = static_cast<double>(a.size());
  const double ma = std::accumulate(a.begin(), a.end(), 0.0) / count;
  const double mb = std::accumulate(b.begin(), b.end(), 0.0) / count;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::nan("");
}

double concentration(const RelevanceMaps& maps) {
  const int64_t cells = maps.height * maps.width;
  double total = 0;
  for (int64_t n = 0; n < maps.count; ++n) {
    const auto first = maps.values.begin() + n * cells;
    std::vector<double> map(first, first + cells);
    std::ranges::sort(map, std::greater<>{});
    const double all = std::accumulate(map.begin(), map.end(), 0.0);
    const double top = std::accumulate(map.begin(), map.begin() + (cells + 3) / 4, 0.0);
    total += all > 0 ? top / all : 0;
  }
  return total / static_cast<double>(maps.count);
}

}  // namespace passband
