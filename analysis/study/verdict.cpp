#include "analysis/study/verdict.h"

#include <algorithm>
#include <array>

#include "analysis/report/figure.h"

namespace passband {
namespace {

constexpr double kNormal95 = 1.959963984540054;

// z such that a normal number lies outside [-z, z] with this probability.
double two_sided_quantile(double probability) {
  double low = 0, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2.0)) > probability ? low : high) = middle;
  }
  return low;
}

// Student's t is in [-x, x] with probability 0.95.
double student_95(size_t freedom) {
  constexpr std::array<double, 9> kExact = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706,
                                            2.4469,  2.3646, 2.3060, 2.2622};
  if (freedom <= kExact.size()) return kExact[freedom - 1];
  // Cornish and Fisher's expansion, within 0.0005 from here on.
  const double z = kNormal95, n = static_cast<double>(freedom), z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n);
}

Estimate widened(const Estimate& e, double factor) {
  return {e.value, e.value - factor * (e.value - e.low), e.value + factor * (e.high - e.value)};
}

}  // namespace

std::vector<double> finite_ones(const std::vector<double>& values) {
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite),
                       [](double value) { return std::isfinite(value); });
  return finite;
}

Estimate share_of(double part, double count) {
  if (count <= 0) return {};
  const plot::Interval interval = plot::wilson(part, count);
  return {part / count, interval.low, interval.high};
}

Estimate mean_of(const std::vector<double>& values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  if (n < 2) return {mean, -INFINITY, INFINITY};
  return Estimate::within(mean, kNormal95 * std::sqrt(squares / (n - 1) / n));
}

Estimate paired_change(double lost, double gained, double count) {
  if (count <= 0) return {};
  const double n = count + 2, differ = lost + gained + 1, value = (gained - lost) / count,
               centre = (gained - lost) / n;
  const double half = kNormal95 * std::sqrt((differ / n - centre * centre) / n);
  return Estimate::within(value, half + std::abs(value - centre));
}

double share_right(const std::vector<bool>& answers) {
  return static_cast<double>(std::ranges::count(answers, true)) /
         static_cast<double>(answers.size());
}

Estimate change_of_answers(const std::vector<bool>& before, const std::vector<bool>& after) {
  double lost = 0, gained = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    lost += before[i] && !after[i];
    gained += !before[i] && after[i];
  }
  return paired_change(lost, gained, static_cast<double>(before.size()));
}

Estimate difference(const Estimate& a, const Estimate& b) {
  const double value = a.value - b.value;
  return {value, value - std::hypot(a.value - a.low, b.high - b.value),
          value + std::hypot(a.high - a.value, b.value - b.low)};
}

Estimate jackknife(double value, const std::vector<double>& without) {
  const auto groups = static_cast<double>(without.size());
  if (without.size() < 3) return {value, -INFINITY, INFINITY};
  std::vector<double> pseudo;
  for (const double less : without) pseudo.push_back(groups * value - (groups - 1) * less);
  const Estimate mean = mean_of(pseudo);
  return Estimate::within(value,
                          (mean.high - mean.value) * student_95(without.size() - 1) / kNormal95);
}

Estimate least_of(const std::vector<Estimate>& estimates) {
  Estimate least;
  double count = 0;
  for (const Estimate& e : estimates) {
    if (!std::isfinite(e.value)) continue;
    if (count == 0 || e.value < least.value) least = e;
    ++count;
  }
  return count > 0 ? widened(least, two_sided_quantile(0.05 / count) / kNormal95) : least;
}

Estimate scaled(const Estimate& e, double factor) {
  const Estimate s{factor * e.value, factor * e.low, factor * e.high};
  return factor < 0 ? Estimate{s.value, s.high, s.low} : s;
}

Verdict judge(const Estimate& e, double reference, double floor) {
  if (!std::isfinite(e.value)) return Verdict::unknown;
  const double distance = e.value - reference;
  if (std::abs(distance) <= floor || distance == 0) return Verdict::alike;
  if (distance > 0) return e.low > reference ? Verdict::above : Verdict::alike;
  return e.high < reference ? Verdict::below : Verdict::alike;
}

Seen claim_seen(const Estimate& e, Verdict side, double reference, double floor) {
  const bool bounded = std::isfinite(e.low) && std::isfinite(e.high);
  if (!std::isfinite(e.value) || !bounded) return Seen::cannot_tell;
  const Verdict verdict = judge(e, reference, floor);
  if (verdict != Verdict::alike) return verdict == side ? Seen::seen : Seen::not_seen;
  const bool nothing = e.low >= reference - floor && e.high <= reference + floor;
  return nothing ? Seen::not_seen : Seen::cannot_tell;
}

Ends ends_of(const std::vector<Named>& list, double floor) {
  Ends ends;
  double count = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const double value = list[i].estimate.value;
    if (!std::isfinite(value)) continue;
    if (count == 0 || value < list[ends.least].estimate.value) ends.least = i;
    if (count == 0 || value > list[ends.most].estimate.value) ends.most = i;
    ++count;
  }
  if (count < 2) return ends;
  const double factor = two_sided_quantile(0.05 / (count * (count - 1) / 2)) / kNormal95;
  const Estimate spread = difference(widened(list[ends.most].estimate, factor),
                                     widened(list[ends.least].estimate, factor));
  ends.differ = judge(spread, 0, floor) == Verdict::above;
  return ends;
}

std::string range_text(double low, double high, const std::function<std::string(double)>& text) {
  const std::string from = text(low), to = text(high);
  if (from == to) return from;
  // "70.2 % to 84.0 %": the unit once.
  const size_t unit = from.rfind(' ');
  const bool shared = unit != std::string::npos && to.size() > from.size() - unit &&
                      to.ends_with(from.substr(unit));
  return (shared ? from.substr(0, unit) : from) + " to " + to;
}

std::string range_text(const std::vector<double>& values,
                       const std::function<std::string(double)>& text) {
  const std::vector<double> finite = finite_ones(values);
  if (finite.empty()) return "none";
  const auto [low, high] = std::ranges::minmax(finite);
  return range_text(low, high, text);
}

std::string together(const std::vector<double>& values,
                     const std::function<std::string(double)>& text) {
  const std::vector<double> finite = finite_ones(values);
  if (finite.size() < 2) return range_text(finite, text);
  const auto [low, high] = std::ranges::minmax(finite);
  const bool alike = low > 0 ? high <= 2 * low : high < 0 && low >= 2 * high;
  if (!alike && low != high) return range_text(low, high, text);
  double mean = 0;
  for (const double value : finite) mean += value / static_cast<double>(finite.size());
  return text(mean) + " on average";
}

}  // namespace passband
