// NamedSpec: a table of the sizes that a family has names for, and what most families do with it.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/family.h"

namespace passband {

template <class Spec> struct NamedSpec {
  std::string name;
  Spec spec;
};

template <class Spec>
std::optional<Spec> find_spec(const std::vector<NamedSpec<Spec>>& table, const std::string& name) {
  for (const NamedSpec<Spec>& row : table)
    if (row.name == name) return row.spec;
  return {};
}

template <class Spec> std::vector<std::string> names_of(const std::vector<NamedSpec<Spec>>& table) {
  std::vector<std::string> names;
  for (const NamedSpec<Spec>& row : table) names.push_back(row.name);
  return names;
}

template <class Spec> std::string takes_any_size(const Spec&, int64_t) { return {}; }

// The network that Network(name, spec, options) makes; nothing without a spec. `refusal(spec,
// image_size)` is what Architecture::refusal says.
template <class Network, class Spec>
std::optional<Architecture> architecture(const std::string& family, const std::optional<Spec>& spec,
                                         std::string (*refusal)(const Spec&,
                                                                int64_t) = takes_any_size<Spec>) {
  if (!spec) return {};
  return Architecture{
      .family = family,
      .refusal = [spec = *spec, refusal](int64_t side) { return refusal(spec, side); },
      .make =
          [spec = *spec](const std::string& name, const ModelOptions& options) {
            return std::make_unique<Network>(name, spec, options);
          }};
}

}  // namespace passband
