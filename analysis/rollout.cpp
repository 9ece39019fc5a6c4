// Traces of attention, and the chain of steps that relevance takes.
#include "analysis/rollout.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "analysis/block_transport.h"
#include "analysis/frozen_parameters.h"
#include "analysis/window_grid.h"
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
  return one_hot(Tensor::from(labels, {logits.size(0)}, DType::i32), logits.size(1),
                 logits.dtype());
}

}  // namespace

Trace trace(const Model& model, const Tensor& images, const std::vector<int64_t>& classes) {
  const RecordGuard recording(!classes.empty());
  const ContextGuard mode({.training = false});
  const FrozenParameters frozen(model.store());
  Trace result;
  TracedLayer pending;
  std::vector<Tensor> inner;  // probabilities as parts of the graph
  const ProbeGuard probe({"attention", "out"}, [&](const TapSite& site, const Tensor& buffer) {
    if (site.name == "out") {
      pending.site = site;
      result.layers.push_back(std::exchange(pending, {}));
      return buffer;
    }
    const Tensor shown = classes.empty() || buffer.tracked() ? buffer : buffer.leaf();
    pending.attention = site;
    pending.probabilities = cast(buffer.detach(), DType::f32);
    inner.push_back(shown);
    return shown;
  });
  result.logits = model(images);
  if (classes.empty() || inner.empty()) return result;
  const std::vector<Tensor> gradients = grad(
      result.logits, inner, {.seed = one_hot_seed(result.logits, classes), .allow_unused = true});
  size_t next = 0;
  for (TracedLayer& layer : result.layers)
    if (layer.probabilities.defined()) layer.gradients = cast(gradients[next++], DType::f32);
  result.logits = result.logits.detach();
  return result;
}

std::vector<int64_t> predicted(const Tensor& logits, int64_t rank) {
  const std::vector<double> values = logits.values();
  const auto classes = static_cast<size_t>(logits.size(1));
  std::vector<int64_t> result, order(classes);
  for (size_t n = 0; n < values.size(); n += classes) {
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>{},
                             [&](int64_t c) { return values[n + static_cast<size_t>(c)]; });
    result.push_back(order[std::min(static_cast<size_t>(rank), classes - 1)]);
  }
  return result;
}

std::vector<int64_t> classes_read(const Model& model, const Tensor& images, int64_t rank) {
  NoGrad no_grad;
  const ContextGuard mode({.training = false});
  return predicted(model(images), rank);
}

namespace {

std::span<const float> picture_of(const Tensor& attention, const TapSite& site, int64_t picture) {
  if (!attention.defined()) return {};
  const int64_t windows = WindowGrid(site).windows;
  const auto size = static_cast<size_t>(attention.numel() / attention.size(0) * windows);
  return {attention.data<float>() + static_cast<size_t>(picture) * size, size};
}

}  // namespace

std::vector<Transport> rollout_steps(const Trace& trace, int64_t picture,
                                     const RolloutOptions& options,
                                     const std::vector<Transport>& convolutions) {
  std::vector<Transport> steps;
  for (size_t l = 1; l < trace.layers.size(); ++l) {
    const TracedLayer& layer = trace.layers[l];
    const TapSite& below = trace.layers[l - 1].site;
    if (l < convolutions.size() && convolutions[l].rows() > 0) {
      steps.push_back(convolutions[l]);
      continue;
    }
    if (!same_grid(layer.site, below)) steps.push_back(area_transport(layer.site, below));
    if (!layer.probabilities.defined()) continue;
    steps.push_back(attention_transport(layer.attention, layer.probabilities.size(1),
                                        picture_of(layer.probabilities, layer.attention, picture),
                                        picture_of(layer.gradients, layer.attention, picture),
                                        options));
  }
  return steps;
}

namespace {

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

std::vector<Transport> convolutions_of(const Model& model, const Tensor& images, int64_t picture) {
  const int64_t size = images.numel() / images.size(0);
  const Tensor image = images.view(picture * size, Shape{1, images.size(1), images.size(2), 3});
  std::vector<Transport> result;
  for (BlockTransport& block : block_transports(model, image, {.convolutions_only = true}))
    result.push_back(std::move(block.transport));
  return result;
}

}  // namespace

std::vector<RelevanceMaps> rollouts(const Model& model, const Tensor& images,
                                    const std::vector<RolloutSettings>& settings,
                                    const std::vector<int64_t>& classes) {
  const bool by_norms = std::ranges::any_of(
      settings, [](const auto& s) { return s.convolution == ConvolutionStep::norms; });
  const bool weighted = std::ranges::any_of(
      settings, [](const auto& s) { return s.start == RolloutStart::class_weighted; });
  const bool knows_class = std::ranges::any_of(
      settings, [](const auto& s) { return s.attention.rule != RolloutRule::attention; });
  const Trace traced = trace(model, images, knows_class ? classes : std::vector<int64_t>{});
  const TapSite &top = traced.layers.back().site, &bottom = traced.layers.front().site;
  ReadOut read;
  if (weighted) read = read_out(model, images, classes);
  std::vector<RelevanceMaps> maps(settings.size(),
                                  {images.size(0), bottom.height, bottom.width, {}});
  for (int64_t n = 0; n < images.size(0); ++n) {
    const std::vector<Transport> convolutions =
        by_norms ? convolutions_of(model, images, n) : std::vector<Transport>{};
    for (size_t s = 0; s < settings.size(); ++s) {
      const bool area = settings[s].convolution == ConvolutionStep::area;
      const std::vector<Transport> steps = rollout_steps(
          traced, n, settings[s].attention, area ? std::vector<Transport>{} : convolutions);
      const double* weights = settings[s].start == RolloutStart::class_weighted
                                  ? &read.contributions[static_cast<size_t>(n * read.places)]
                                  : nullptr;
      const std::vector<double> relevance = roll_down(steps, start_of(top, weights));
      maps[s].values.insert(maps[s].values.end(), relevance.begin() + bottom.prefix,
                            relevance.end());
    }
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
