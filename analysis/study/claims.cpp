#include "analysis/study/claims.h"

#include <algorithm>
#include <cmath>

namespace passband {
namespace {

ReportClaim& entry_of(Section& section, const Claim& claim) {
  const auto found = std::ranges::find(section.claims, claim.key, &ReportClaim::key);
  if (found != section.claims.end()) return *found;
  return section.claims.emplace_back(ReportClaim{.text = claim.text, .key = claim.key});
}

ReportValue& value_of(Section& section, const Claim& claim, const std::string& network) {
  const auto found = std::ranges::find_if(section.values, [&](const ReportValue& value) {
    return value.key == claim.key && value.subject == network;
  });
  if (found != section.values.end()) return *found;
  return section.values.emplace_back(
      ReportValue{.key = claim.key, .label = claim.label, .subject = network});
}

}  // namespace

void add_claim(Section& section, const Claim& claim, const std::string& network,
               const Estimate& estimate) {
  entry_of(section, claim)
      .networks.emplace_back(network,
                             claim_seen(estimate, claim.side, claim.reference, claim.floor));
  ReportValue& value = value_of(section, claim, network);
  value.value = estimate.value;
  value.text = std::isfinite(estimate.value) ? claim.words(estimate.value) : "not measured";
  value.low = estimate.low;
  value.high = estimate.high;
  if (!std::isfinite(estimate.low) || !std::isfinite(estimate.high)) return;
  value.detail = "95 % interval " + range_text(estimate.low, estimate.high, claim.words);
}

}  // namespace passband
