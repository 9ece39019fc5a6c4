// The table of kernel times.
#include "tensor/core/profile.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

namespace passband {
namespace {

std::mutex table_mutex;
std::map<std::string, KernelTime>& table() {
  static std::map<std::string, KernelTime> instance;
  return instance;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

bool KernelTimer::profiling_ = false;

void KernelTimer::start() { begin_ = now(); }

void KernelTimer::stop() const {
  const double seconds = now() - begin_;
  std::lock_guard lock(table_mutex);
  KernelTime& entry = table()[kernel_];
  ++entry.calls;
  entry.seconds += seconds;
}

void start_profile() {
  std::lock_guard lock(table_mutex);
  table().clear();
  KernelTimer::profiling_ = true;
}

std::vector<KernelTime> stop_profile() {
  std::lock_guard lock(table_mutex);
  KernelTimer::profiling_ = false;
  std::vector<KernelTime> times;
  for (auto& [kernel, entry] : table()) {
    times.push_back(entry);
    times.back().kernel = kernel;
  }
  std::ranges::sort(times, std::ranges::greater{}, &KernelTime::seconds);
  return times;
}

}  // namespace passband
