// Wording of percentages, as sentences have them; of counts: tensor/core/text.h.
#pragma once
#include <fmt/format.h>

#include <string>

#include "tensor/core/text.h"

namespace passband {

// 0.831: "83.1 %".
inline std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
// 0.8314: "83.14 %", for what is measured on many pictures.
inline std::string fine_percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

}  // namespace passband
