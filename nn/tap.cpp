// The probes of this thread and what a tap does with them.
#include "nn/tap.h"

#include <algorithm>
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

}  // namespace

std::string_view name_of(BlockKind kind) {
  switch (kind) {
    case BlockKind::stem: return "stem";
    case BlockKind::conv: return "conv";
    case BlockKind::msa: return "msa";
    case BlockKind::mlp: return "mlp";
    case BlockKind::lambda: return "lambda";
    case BlockKind::hydra: return "hydra";
    case BlockKind::token_mlp: return "token_mlp";
    case BlockKind::downsample: return "downsample";
    case BlockKind::embedding: return "embedding";
    case BlockKind::head: return "head";
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
  Tensor shown = buffer;
  for (size_t i = 0; i < probes.size(); ++i) {
    if (!probes[i].wants(name)) continue;
    shown = probes[i].probe(here, shown);
    CHECK(shown.defined() && shown.shape() == buffer.shape() && shown.dtype() == buffer.dtype(),
          "tap ", here.path, ": the probe returned ", shown, " in place of ", buffer);
  }
  return shown;
}

}  // namespace passband
