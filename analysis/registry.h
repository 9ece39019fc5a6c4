// The registry: all analyses, wing by wing, in the order of the report.
#pragma once
#include <string_view>
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

const std::vector<Analysis>& analyses();
// Throws UsageError with near names.
const Analysis& find_analysis(std::string_view name);

}  // namespace passband
