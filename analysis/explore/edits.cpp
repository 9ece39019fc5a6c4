#include "analysis/explore/edits.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "analysis/frequency/frequency_noise.h"
#include "tensor/autograd/trace.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kLeastSide = 4;  // of a map that is filtered
constexpr int64_t kBands = 8;      // of the Nyquist frequency, for passes and noise
constexpr double kEpsilon = 0.3;

const TapSite* site_named(const GraphOperation& operation, std::string_view name) {
  const auto found = std::ranges::find(operation.sites, name, &TapSite::name);
  return found == operation.sites.end() ? nullptr : &*found;
}

// Heads of what an attention or lambda layer gives; 0: unknown.
double heads_of(const NetworkGraph& graph, const GraphOperation& operation) {
  const auto said = operation.numbers.find("heads");
  if (said != operation.numbers.end()) return said->second[0];
  const auto at = static_cast<size_t>(&operation - graph.operations.data());
  for (size_t i = at; i-- > 0;)  // composed attention: the probabilities before it tell
    if (const TapSite* site = site_named(graph.operations[i], "attention"); site)
      return static_cast<double>(graph.operations[i].shape[1]);
  return 0;
}

void add_passes(const TapSite& site, std::vector<Edit>& edits) {
  if (std::min(site.height, site.width) < kLeastSide) return;
  for (const EditKind kind : {EditKind::low_pass, EditKind::high_pass})
    for (double cut = 1; cut < kBands; ++cut) edits.push_back({kind, site.path, cut / kBands});
}

void add_edits(const NetworkGraph& graph, const GraphOperation& operation,
               std::vector<Edit>& edits) {
  if (const TapSite* site = site_named(operation, "branch"))
    edits.push_back({EditKind::branch, site->path});
  if (const TapSite* site = site_named(operation, "attention"))
    edits.push_back({EditKind::uniform, site->path});
  if (const TapSite* site = site_named(operation, "heads")) {
    const double heads = heads_of(graph, operation);
    for (double h = 0; h < heads; ++h) edits.push_back({EditKind::head, site->path, h, heads});
  }
  if (const TapSite* site = site_named(operation, "out")) add_passes(*site, edits);
  if (operation.name != "conv2d" || operation.inputs[1].from != GraphInput::From::constant) return;
  const GraphConstant& weight = graph.constants[operation.inputs[1].index];
  if (!weight.name.empty() && weight.value.size(1) * weight.value.size(2) > 1)
    edits.push_back({EditKind::mean_kernel, weight.name});
}

// 1 where the radius of a bin passes.
std::vector<double> radial_mask(double cut, bool high, int64_t height, int64_t width) {
  std::vector<double> mask;
  const auto axis = [](int64_t i, int64_t side) {
    return static_cast<double>(std::min(i, side - i)) / static_cast<double>(side);
  };
  for (int64_t i = 0; i < height; ++i)
    for (int64_t j = 0; j < width; ++j) {
      const bool low = 2 * std::hypot(axis(i, height), axis(j, width)) <= cut + 1e-9;
      mask.push_back(low != high ? 1 : 0);
    }
  return mask;
}

// A map, or the tokens of a grid behind their prefix, with the bins that pass.
Tensor passed(const Edit& edit, const TapSite& site, const Tensor& buffer) {
  const bool high = edit.kind == EditKind::high_pass;
  const Tensor map = as_feature_map(site, buffer);
  const Tensor y = BandNoise(map).in_band(radial_mask(edit.number, high, site.height, site.width));
  if (buffer.rank() == 4) return y;
  const Tensor tokens = reshape(y, Shape{buffer.size(0), site.height * site.width, buffer.size(2)});
  return site.prefix == 0 ? tokens : concat({slice(buffer, 1, 0, site.prefix), tokens}, 1);
}

// The last dimension in equal parts, one of them 0.
Tensor without_part(const Tensor& x, int64_t part, int64_t parts) {
  CHECK(parts > 0 && x.size(-1) % parts == 0 && part >= 0 && part < parts, "there is no part ",
        part, " of ", parts, " in ", x);
  const int64_t width = x.size(-1) / parts;
  std::vector<double> keep(static_cast<size_t>(x.size(-1)), 1.0);
  std::fill_n(keep.begin() + part * width, width, 0.0);
  return x * Tensor::from(keep, {x.size(-1)}, x.dtype(), x.device());
}

Tensor evened(const Tensor& probabilities) {
  const Tensor seen = sign(probabilities);  // 0 for a token that is masked
  return seen / sum(seen, {-1}, true);
}

Tensor edited(const Edit& edit, const TapSite& site, const Tensor& buffer) {
  switch (edit.kind) {
    case EditKind::branch: return Tensor::zeros_like(buffer);
    case EditKind::head:
      return without_part(buffer, std::llround(edit.number), std::llround(edit.heads));
    case EditKind::channel: return without_part(buffer, std::llround(edit.number), buffer.size(-1));
    case EditKind::uniform: return evened(buffer);
    case EditKind::low_pass:
    case EditKind::high_pass: return passed(edit, site, buffer);
    case EditKind::mean_kernel:
    case EditKind::noise: break;
  }
  return buffer;
}

}  // namespace

std::string_view name_of(EditKind kind) {
  switch (kind) {
    case EditKind::branch: return "branch";
    case EditKind::head: return "head";
    case EditKind::channel: return "channel";
    case EditKind::uniform: return "uniform";
    case EditKind::mean_kernel: return "mean_kernel";
    case EditKind::low_pass: return "low_pass";
    case EditKind::high_pass: return "high_pass";
    case EditKind::noise: return "noise";
  }
  return "?";
}

std::vector<Edit> edits_of(const NetworkGraph& graph, int64_t most_channels) {
  std::vector<Edit> edits;
  for (const GraphOperation& operation : graph.operations) {
    add_edits(graph, operation, edits);
    const TapSite* site = site_named(operation, "out");
    const int64_t channels = site ? operation.shape[-1] : 0;
    for (int64_t c = 0; channels <= most_channels && c < channels; ++c)
      edits.push_back({EditKind::channel, site->path, static_cast<double>(c)});
  }
  for (int64_t b = 0; b < kBands; ++b)
    edits.push_back({.kind = EditKind::noise,
                     .path = "picture",
                     .number = (static_cast<double>(b) + 1) / kBands,
                     .epsilon = kEpsilon});
  return edits;
}

struct EditGuard::State {
  Model& model;
  std::vector<std::pair<ParameterRef, Tensor>> kept;
  std::optional<ProbeGuard> probe;

  void even_kernel(const std::string& name) {
    const auto& all = model.store().parameters();
    const auto found =
        std::ranges::find_if(all, [&](const ParameterRef& p) { return p->name == name; });
    CHECK(found != all.end(), "there is no weight ", name, " in ", model.name());
    const Tensor value = (*found)->value.detach();
    kept.emplace_back(*found, value * 1.0);
    copy_(value, expand(mean(value, {1, 2}, true), value.shape()) * 1.0);
    model.store().touch();
  }
};

EditGuard::EditGuard(Model& model, const std::vector<Edit>& edits)
    : state_(new State{model, {}, {}}) {
  const NoGrad no_grad;
  std::vector<std::string> names;
  for (const Edit& edit : edits) {
    if (edit.kind == EditKind::mean_kernel) state_->even_kernel(edit.path);
    else if (edit.kind != EditKind::noise)
      names.push_back(edit.path.substr(edit.path.rfind('.') + 1));
  }
  if (names.empty()) return;
  state_->probe.emplace(names, [edits](const TapSite& site, const Tensor& buffer) {
    // What an edit computes is no operation of the network.
    const ListenGuard deaf([](const HeardOperation&) {});
    Tensor shown = buffer;
    for (const Edit& edit : edits)
      if (edit.path == site.path) shown = edited(edit, site, shown);
    return shown;
  });
}

EditGuard::~EditGuard() {
  for (const auto& [parameter, value] : state_->kept) copy_(parameter->value.detach(), value);
  if (!state_->kept.empty()) state_->model.store().touch();
}

Tensor edited_pictures(const Tensor& images, const std::vector<int64_t>& indices,
                       const std::vector<Edit>& edits) {
  const NoGrad no_grad;
  Tensor y = images;
  const int64_t height = images.size(1), width = images.size(2);
  for (const Edit& edit : edits) {
    if (edit.kind != EditKind::noise) continue;
    const BandNoise noise({0, 0, site_of("explore.noise")}, indices, height, width, 3, edit.epsilon,
                          images.device());
    const FrequencyBand band{.centre = edit.number * std::numbers::pi,
                             .half_width = kNoiseHalfWidth * std::numbers::pi};
    y = y + noise.in_band(band_mask(band, height, width));
  }
  return y;
}

}  // namespace passband
