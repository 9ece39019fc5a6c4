// Small text helpers for messages.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace passband {

// The candidates closest to `name` by edit distance, best first: at most `count`, none that is farther than about a
// third of its length.
std::vector<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates, size_t count = 3);

// " (did you mean resnet50?)", or nothing when no candidate is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

// "a, b, c"
std::string join(const std::vector<std::string>& parts, std::string_view separator = ", ");

}  // namespace passband
