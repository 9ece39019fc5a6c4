// Wording of percentages and counts, as sentences have them.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace passband {

// 0.831: "83.1 %".
inline std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
// 0.8314: "83.14 %", for what is measured on many pictures.
inline std::string fine_percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

// "1 test picture", "200 test pictures"
inline std::string counted(int64_t count, const std::string& thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace passband
