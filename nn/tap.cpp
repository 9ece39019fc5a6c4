// The probes of this thread and what a tap does with them.
#include "nn/tap.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "tensor/core/error.h"

namespace passband {
namespace {

struct ActiveProbe {
  std::vector<std::string> names;
  Probe probe;

  bool wants(std::string_view name) const {
    return names.empty() || std::ranges::find(names, name) != names.end();
  }
};

// A deque: a probe may install another while it runs, and must not move under its own feet.
thread_local std::deque<ActiveProbe> probes;

// "blocks.0.attn" of "blocks.0.attn.qkv"; nothing of "head".
std::string_view parent_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

constexpr int64_t kMostPrefix = 2;  // DeiT's class and distillation tokens

Tensor shown_to_probes(const TapSite& site, const Tensor& buffer) {
  Tensor shown = buffer;
  for (size_t i = 0; i < probes.size(); ++i) {
    if (!probes[i].wants(site.name)) continue;
    shown = probes[i].probe(site, shown);
    CHECK(shown.defined() && shown.shape() == buffer.shape() && shown.dtype() == buffer.dtype(),
          "tap ", site.path, ": the probe returned ", shown, " in place of ", buffer);
  }
  return shown;
}

}  // namespace

std::string_view name_of(BlockKind kind) {
  switch (kind) {
    case BlockKind::stem: return "stem";
    case BlockKind::conv: return "conv";
    case BlockKind::depthwise: return "depthwise";
    case BlockKind::msa: return "msa";
    case BlockKind::parallel: return "parallel";
    case BlockKind::mlp: return "mlp";
    case BlockKind::lambda: return "lambda";
    case BlockKind::hydra: return "hydra";
    case BlockKind::pooling: return "pooling";
    case BlockKind::identity: return "identity";
    case BlockKind::token_mlp: return "token_mlp";
    case BlockKind::downsample: return "downsample";
    case BlockKind::embedding: return "embedding";
    case BlockKind::head: return "head";
    case BlockKind::norm: return "norm";
  }
  return "?";
}

ProbeGuard::ProbeGuard(std::vector<std::string> names, Probe probe) {
  probes.push_back({std::move(names), std::move(probe)});
}
ProbeGuard::~ProbeGuard() { probes.pop_back(); }

bool tapped(std::string_view name) {
  return !probes.empty() &&
         std::ranges::any_of(probes, [&](const ActiveProbe& p) { return p.wants(name); });
}

Tensor tap(std::string_view name, const Tensor& buffer, const TapSite& site) {
  if (!tapped(name)) return buffer;
  TapSite here = site;
  here.path = current_scope().empty() ? std::string(name) : concat_text(current_scope(), '.', name);
  here.name = name;
  return shown_to_probes(here, buffer);
}

Tensor show_layer(std::string_view name, const Tensor& buffer, std::string_view weight, int words,
                  BlockKind kind) {
  TapSite here{.kind = kind};
  for (; words > 0; --words) weight = parent_of(weight);
  here.path = weight.empty() ? std::string(name) : concat_text(weight, '.', name);
  here.name = name;
  if (buffer.rank() == 4) {
    here.height = buffer.size(1);
    here.width = buffer.size(2);
  } else if (buffer.rank() == 3) {
    const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(buffer.size(1))));
    here.prefix = buffer.size(1) - side * side;
    const bool square = here.prefix <= kMostPrefix;
    here.height = here.width = square ? side : 0;
    if (!square) here.prefix = 0;
  }
  return shown_to_probes(here, buffer);
}

const std::vector<std::string>& layer_taps() {
  static const std::vector<std::string> names = {"conv", "norm", "linear", "q",
                                                 "k",    "v",    "heads",  "hidden"};
  return names;
}

}  // namespace passband
