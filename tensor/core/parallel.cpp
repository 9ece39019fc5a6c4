// Counts the physical cores this process may run on and keeps the thread count.
#include "tensor/core/parallel.h"

#include <sched.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "tensor/core/cpu_quota.h"
#include "tensor/core/error.h"
#include "tensor/core/thread_pool.h"

namespace passband {
namespace {

// A quota counts as so many cores: more threads would only be stopped more often.
int cores_allowed(int cores) {
  const std::optional<double> quota = cpu_quota();
  return quota ? std::clamp(static_cast<int>(std::ceil(*quota)), 1, cores) : cores;
}

// Two hyper-threads share one list of siblings, so the number of different lists is the number of
// cores.
int physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings))
      return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    cores.insert(siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

// OMP_NUM_THREADS, or 0 where it says nothing usable. Of a list, the first counts.
int threads_asked_for() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long threads = text ? std::strtol(text, nullptr, 10) : 0;
  return threads >= 1 && threads <= 4096 ? static_cast<int>(threads) : 0;
}

std::atomic<int>& count() {
  static std::atomic<int> value = [] {
    const int asked = threads_asked_for();
    return asked > 0 ? asked : cores_allowed(physical_cores());
  }();
  return value;
}

std::atomic<int> short_loop_splitters{0};

}  // namespace

SplitShortLoops::SplitShortLoops() { ++short_loop_splitters; }
SplitShortLoops::~SplitShortLoops() { --short_loop_splitters; }
bool splits_short_loops() { return short_loop_splitters.load(std::memory_order_relaxed) > 0; }

int thread_count() { return count().load(std::memory_order_relaxed); }

void set_thread_count(int threads) {
  CHECK(threads >= 1, "threads: needs at least 1, not ", threads);
  count() = threads;
}

void split_loop(int64_t n, int64_t grain, int64_t threads, LoopPiece piece) {
  constexpr int64_t kPiecesEach = 4;
  const int64_t least = splits_short_loops() ? 1 : std::max<int64_t>(grain, 1);
  const int64_t pieces = std::min(kPiecesEach * threads, n / least);
  if (pieces <= 1 || threads <= 1 || on_thread_of_pool()) {
    if (n > 0) piece(0, n);
    return;
  }
  const int64_t unit = n >= 4096 * pieces ? 64 : 1, units = (n + unit - 1) / unit;
  std::atomic<int64_t> next{0};
  auto take_pieces = [&] {
    for (int64_t i = next++; i < pieces; i = next++) {
      const int64_t begin = units * i / pieces * unit;
      const int64_t end = std::min(n, units * (i + 1) / pieces * unit);
      if (begin < end) piece(begin, end);
    }
  };
  on_threads(
      static_cast<int>(std::min(threads, pieces)),
      {[](void* pieces_of) { (*static_cast<decltype(take_pieces)*>(pieces_of))(); }, &take_pieces});
}

}  // namespace passband
