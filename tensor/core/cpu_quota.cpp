#include "tensor/core/cpu_quota.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tensor/core/split_text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

std::optional<double> ratio(double quota, double period) {
  if (!(quota > 0 && period > 0)) return {};
  return quota / period;
}

// "max 100000" and "-1" are no limits.
std::optional<double> limit_of(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream both(group / "cpu.max");
  if (both >> quota >> period) return ratio(quota, period);
  std::ifstream first(group / "cpu.cfs_quota_us"), second(group / "cpu.cfs_period_us");
  if (first >> quota && second >> period) return ratio(quota, period);
  return {};
}

// The folder of a hierarchy below `groups`, given its controllers ("cpu,cpuacct"; none in version
// 2); empty where it has nothing to do with processors.
std::optional<fs::path> hierarchy(const fs::path& groups, const std::string& controllers) {
  if (controllers.empty()) {
    const fs::path unified = groups / "unified";
    return fs::exists(unified) ? unified : groups;
  }
  if (std::ranges::count(split_text(controllers, ','), "cpu") == 0) return {};
  return fs::exists(groups / controllers) ? groups / controllers : groups / "cpu";
}

}  // namespace

std::optional<double> cpu_quota(const std::string& groups, const std::string& membership) {
  std::optional<double> least;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // "4:cpu,cpuacct:/docker/0123"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto root = hierarchy(groups, line.substr(first + 1, second - first - 1));
    if (!root) continue;
    // In a container the path may be the host's: then only the root is there.
    for (fs::path group = fs::path(line.substr(second + 1)).relative_path();;
         group = group.parent_path()) {
      if (const auto limit = limit_of(*root / group))
        least = std::min(least.value_or(*limit), *limit);
      if (group.empty()) break;
    }
  }
  return least;
}

}  // namespace passband
