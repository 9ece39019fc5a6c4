// Nice-number ticks on linear, logarithmic and categorical axes.
#include "analysis/report/ticks.h"

#include <algorithm>
#include <cmath>

#include "analysis/report/text.h"

namespace passband::plot {
namespace {

int decimals_of(double step) {
  // 2.5 x 10^k needs one decimal more than 1, 2 and 5 x 10^k.
  const int exponent = static_cast<int>(std::floor(std::log10(step) + 1e-9));
  const double mantissa = step / std::pow(10.0, exponent);
  const bool half = std::abs(mantissa - 2.5) < 1e-6;
  return std::max(0, -exponent + (half ? 1 : 0));
}

Ticks linear_ticks(const Range& range, int most) {
  Ticks ticks;
  const double span = range.high - range.low, step = nice_step(span, most);
  const double largest = std::max(std::abs(range.low), std::abs(range.high));
  const bool scientific = largest >= 1e7 || largest < 1e-4;
  const int decimals = decimals_of(step);
  const auto first = static_cast<int64_t>(std::ceil(range.low / step - 1e-6));
  const auto last = static_cast<int64_t>(std::floor(range.high / step + 1e-6));
  for (int64_t k = first; k <= last; ++k) {
    const double at = static_cast<double>(k) * step;
    ticks.at.push_back(at);
    ticks.labels.push_back(scientific ? format_number(at) : format_fixed(at, decimals));
  }
  return ticks;
}

// k x 10^decade: "0.02", "500", "5×10⁶", "10⁶".
std::string decade_label(int k, int decade) {
  if (std::abs(decade) < 5) return format_number(k * std::pow(10.0, decade));
  return (k == 1 ? "" : std::to_string(k) + "\u00d7") + power_of_ten(decade);
}

Ticks log_ticks(const Range& range, int most) {
  const int first = static_cast<int>(std::ceil(std::log10(range.low) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(range.high) + 1e-9));
  Ticks ticks;
  if (last - first < 1) {  // fewer than two powers of ten: 1, 2 and 5 times each
    for (int decade = first - 1; decade <= last; ++decade)
      for (const int k : {1, 2, 5}) {
        const double at = k * std::pow(10.0, decade);
        if (at < range.low * (1 - 1e-9) || at > range.high * (1 + 1e-9)) continue;
        ticks.at.push_back(at);
        ticks.labels.push_back(decade_label(k, decade));
      }
    return ticks.at.size() >= 2 ? ticks : linear_ticks(range, most);
  }
  const int every = (last - first) / std::max(1, most) + 1;
  const bool plain = first >= -2 && last <= 4;
  for (int decade = first; decade <= last; decade += every) {
    const double at = std::pow(10.0, decade);
    ticks.at.push_back(at);
    ticks.labels.push_back(plain ? format_number(at) : power_of_ten(decade));
  }
  for (int decade = first - 1; every == 1 && decade <= last; ++decade)
    for (int k = 2; k <= 9; ++k) {
      const double at = k * std::pow(10.0, decade);
      if (at >= range.low && at <= range.high) ticks.minor.push_back(at);
    }
  return ticks;
}

}  // namespace

double nice_step(double span, int most) {
  const double raw = span / std::max(1, most);
  const double decade = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double m : {1.0, 2.0, 2.5, 5.0})
    if (m * decade >= raw * (1 - 1e-9)) return m * decade;
  return 10 * decade;
}

Ticks make_ticks(const Range& range, Scale scale, int most) {
  return scale == Scale::log10 ? log_ticks(range, most) : linear_ticks(range, most);
}

Ticks category_ticks(const std::vector<std::string>& categories, int most) {
  Ticks ticks;
  const size_t every =
      categories.empty() ? 1 : (categories.size() - 1) / static_cast<size_t>(std::max(1, most)) + 1;
  for (size_t i = 0; i < categories.size(); i += every) {
    ticks.at.push_back(static_cast<double>(i));
    ticks.labels.push_back(categories[i]);
  }
  return ticks;
}

Range axis_range(const Axis& axis, double low, double high) {
  if (!axis.categories.empty())
    return {axis.low.value_or(-0.5),
            axis.high.value_or(static_cast<double>(axis.categories.size()) - 0.5)};
  if (!(low <= high))
    low = axis.scale == Scale::log10 ? 1 : 0, high = axis.scale == Scale::log10 ? 10 : 1;
  if (axis.scale == Scale::log10) {
    const double air = high > low ? std::pow(high / low, 0.04) : 2;
    return {axis.low.value_or(low / air), axis.high.value_or(high * air)};
  }
  if (axis.from_zero) low = std::min(low, 0.0), high = std::max(high, 0.0);
  const double span = high > low ? high - low : std::max(std::abs(high), 1.0);
  // A bar or area that starts at zero sits on the axis, without air below it.
  const double below = axis.from_zero && low == 0 ? 0 : 0.04 * span;
  const double above = axis.from_zero && high == 0 ? 0 : 0.04 * span;
  Range range{axis.low.value_or(low - below), axis.high.value_or(high + above)};
  if (!(range.low < range.high)) range.high = range.low + std::max(std::abs(range.low), 1.0);
  return range;
}

}  // namespace passband::plot
