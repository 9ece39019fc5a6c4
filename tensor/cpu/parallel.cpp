// Counts the physical cores this process may run on and keeps the thread count.
#include "tensor/cpu/parallel.h"

#include <sched.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <string>

#include "tensor/core/error.h"
#include "tensor/cpu/cpu_quota.h"

namespace passband {
namespace {

// A quota counts as so many cores: more threads would only be stopped more often.
int cores_allowed(int cores) {
  const std::optional<double> quota = cpu::cpu_quota();
  return quota ? std::clamp(static_cast<int>(std::ceil(*quota)), 1, cores) : cores;
}

// Two hyper-threads share one list of siblings, so the number of different lists is the number of
// cores.
int physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return omp_get_num_procs();
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) return omp_get_num_procs();
    cores.insert(siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

std::atomic<int>& count() {
  static std::atomic<int> value = [] {
    const int threads =
        std::getenv("OMP_NUM_THREADS") ? omp_get_max_threads() : cores_allowed(physical_cores());
    omp_set_num_threads(threads);
    return threads;
  }();
  return value;
}

std::atomic<int> short_loop_splitters{0};

}  // namespace

namespace cpu {

SplitShortLoops::SplitShortLoops() { ++short_loop_splitters; }
SplitShortLoops::~SplitShortLoops() { --short_loop_splitters; }
bool splits_short_loops() { return short_loop_splitters.load(std::memory_order_relaxed) > 0; }

}  // namespace cpu

int thread_count() { return count().load(std::memory_order_relaxed); }

void set_thread_count(int threads) {
  CHECK(threads >= 1, "threads: needs at least 1, not ", threads);
  count() = threads;
  omp_set_num_threads(threads);
}

}  // namespace passband
