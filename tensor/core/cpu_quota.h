// How much of the processors a container may use.
#pragma once
#include <optional>
#include <string>

namespace passband {

// In processors, the least that a control group of this process or one above it allows; none where
// there is no limit. Reads cpu.max (version 2) and cpu.cfs_quota_us (version 1) of the groups that
// `membership`, a file as /proc/self/cgroup, names below `groups`.
std::optional<double> cpu_quota(const std::string& groups = "/sys/fs/cgroup",
                                const std::string& membership = "/proc/self/cgroup");

}  // namespace passband
