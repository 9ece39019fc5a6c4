// Memory of tensors: reference-counted blocks from the caching allocator of a device, with live and
// peak counters.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/core/device.h"

namespace passband {

// One block of memory. `version` grows with every in-place change, so that a graph can tell that a
// tensor it saved is no longer what it was.
class Storage {
 public:
  Storage(int64_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint64_t version() const { return version_; }
  void bump_version() { ++version_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  Device device_;
  uint64_t version_ = 0;
};

struct MemoryStatistics {
  int64_t live_bytes = 0;      // held by tensors now
  int64_t peak_bytes = 0;      // the largest live_bytes so far
  int64_t reserved_bytes = 0;  // taken from the system: live plus cached
  int64_t allocations = 0;     // blocks handed out so far
  int64_t cache_hits = 0;      // of these, served without asking the system
};

MemoryStatistics memory_statistics(Device device = {});
// While on, every block is handed out filled with 0xff bytes (NaN), so that reading what was never
// written, or writing past the end, shows. For tests.
void fill_fresh_memory(bool on, Device device = {});
// Gives cached blocks back to the system.
void release_cached_memory(Device device = {});

}  // namespace passband
