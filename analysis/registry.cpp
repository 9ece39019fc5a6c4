#include "analysis/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "analysis/decisions/decisions.h"
#include "analysis/frequency/frequency.h"
#include "analysis/loss/loss.h"
#include "analysis/places/places.h"
#include "analysis/reach/reach.h"
#include "analysis/relevance/relevance.h"
#include "analysis/similarity/similarity.h"
#include "tensor/core/text.h"

namespace passband {

const std::vector<Analysis>& analyses() {
  static const std::vector<Analysis> all = [] {
    std::vector<Analysis> table;
    for (const auto wing : {frequency_wing, similarity_wing, reach_wing, relevance_wing,
                            places_wing, decisions_wing, loss_wing})
      std::ranges::copy(wing(), std::back_inserter(table));
    std::ranges::stable_partition(table, &Analysis::leads);
    return table;
  }();
  return all;
}

const Analysis& find_analysis(std::string_view name) {
  std::vector<std::string> names;
  for (const Analysis& analysis : analyses()) {
    if (analysis.name == name) return analysis;
    names.push_back(analysis.name);
  }
  throw UsageError(
      fmt::format("unknown analysis '{}' (--list shows all){}", name, did_you_mean(name, names)));
}

}  // namespace passband
