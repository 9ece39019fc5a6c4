#include "tensor/cpu/caches.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>

namespace passband::cpu {
namespace {

constexpr int64_t kKib = 1024;

// Of the C library, which asks the processor (CPUID leaf 4, AMD's 0x8000001D), or of the kernel:
// "1024K". 0 where neither knows.
int64_t told_size() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) return bytes;
#endif
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index2/size");
  int64_t kib = 0;
  return file >> kib ? kib * kKib : 0;
}

int64_t size_here() {
  const int64_t told = told_size();
  return told > 0 ? std::clamp(told, 256 * kKib, 4096 * kKib) : 512 * kKib;
}

std::atomic<int64_t>& size() {
  static std::atomic<int64_t> bytes = size_here();
  return bytes;
}

}  // namespace

int64_t second_level_cache() { return size().load(std::memory_order_relaxed); }

void set_second_level_cache(int64_t bytes) { size() = bytes > 0 ? bytes : size_here(); }

}  // namespace passband::cpu
