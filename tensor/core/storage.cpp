// Storage, and the memory of the CPU. Its caching allocator: size classes, free lists, 2
// MiB-aligned large blocks with huge pages.
#include "tensor/core/storage.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/core/memory.h"

namespace passband {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLarge = int64_t{1} << 21;

// Eight classes per power of two: at most 12.5 % of a block is unused.
int64_t size_class(int64_t bytes) {
  const int64_t least = std::max(bytes, kAlignment);
  const int64_t step =
      std::max(kAlignment, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(least))) / 8);
  return (least + step - 1) / step * step;
}

class Allocator {
 public:
  std::byte* allocate(int64_t bytes) {
    const int64_t size = size_class(bytes);
    std::lock_guard lock(mutex_);
    std::byte* block = take_cached(size);
    if (!block) block = take_from_system(size);
    ++statistics_.allocations;
    statistics_.live_bytes += size;
    statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes);
    if (fill_) std::memset(block, 0xff, static_cast<size_t>(size));
    return block;
  }

  // Called by destructors: where the list of free blocks cannot grow, the block goes back to the
  // system.
  void free(std::byte* block, int64_t bytes) noexcept {
    const int64_t size = size_class(bytes);
    std::lock_guard lock(mutex_);
    statistics_.live_bytes -= size;
    try {
      free_[size].push_back(block);
    } catch (const std::bad_alloc&) {
      std::free(block);
      statistics_.reserved_bytes -= size;
    }
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void fill(bool on) {
    std::lock_guard lock(mutex_);
    fill_ = on;
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    release_cached_locked();
#if defined(__GLIBC__)
    malloc_trim(0);  // free() alone keeps blocks of up to 32 MiB for itself
#endif
  }

 private:
  std::byte* take_cached(int64_t size) {
    const auto list = free_.find(size);
    if (list == free_.end() || list->second.empty()) return nullptr;
    std::byte* block = list->second.back();
    list->second.pop_back();
    ++statistics_.cache_hits;
    return block;
  }

  std::byte* take_from_system(int64_t size) {
    std::byte* block = system_allocate(size);
    if (!block) {
      release_cached_locked();
      block = system_allocate(size);
    }
    if (!block)
      throw OutOfMemory(with_scope(concat_text("out of memory: ", size, " bytes asked for, ",
                                               statistics_.live_bytes,
                                               " held by tensors; use a smaller --batch-size")));
    statistics_.reserved_bytes += size;
    return block;
  }

  static std::byte* system_allocate(int64_t size) {
    const int64_t alignment = size >= kLarge ? kLarge : kAlignment;
    const int64_t padded = (size + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(padded));
    if (block && size >= kLarge) madvise(block, static_cast<size_t>(padded), MADV_HUGEPAGE);
    return static_cast<std::byte*>(block);
  }

  void release_cached_locked() {
    for (auto& [size, blocks] : free_) {
      statistics_.reserved_bytes -= size * static_cast<int64_t>(blocks.size());
      for (std::byte* block : blocks) std::free(block);
      blocks.clear();
    }
  }

  std::mutex mutex_;
  std::unordered_map<int64_t, std::vector<std::byte*>> free_;
  MemoryStatistics statistics_;
  bool fill_ = false;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Allocator& allocator() {
  static Allocator* const instance = new Allocator;
  return *instance;
}

template <class T> void fill_as(void* memory, uint64_t pattern, int64_t count) {
  std::fill_n(static_cast<T*>(memory), count, static_cast<T>(pattern));
}

}  // namespace

namespace cpu {

std::byte* allocate(int64_t bytes, Device) { return allocator().allocate(bytes); }
void release(std::byte* block, int64_t bytes, Device) { allocator().free(block, bytes); }
MemoryStatistics statistics(Device) { return allocator().statistics(); }
void fill_fresh(bool on, Device) { allocator().fill(on); }
void release_cached(Device) { allocator().release_cached(); }

void clear_bytes(void* memory, int64_t bytes) {
  std::memset(memory, 0, static_cast<size_t>(bytes));
}

void fill_elements(void* memory, uint64_t pattern, int64_t width, int64_t count) {
  switch (width) {
    case 1: return fill_as<uint8_t>(memory, pattern, count);
    case 2: return fill_as<uint16_t>(memory, pattern, count);
    case 4: return fill_as<uint32_t>(memory, pattern, count);
    default: return fill_as<uint64_t>(memory, pattern, count);
  }
}

void copy_bytes(void* destination, Device, const void* source, Device, int64_t bytes) {
  std::memcpy(destination, source, static_cast<size_t>(bytes));
}

}  // namespace cpu

Storage::Storage(int64_t bytes, Device device)
    : data_(ON_DEVICE(device, allocate, bytes, device)), bytes_(bytes), device_(device) {}

Storage::~Storage() { ON_DEVICE(device_, release, data_, bytes_, device_); }

MemoryStatistics memory_statistics(Device device) { return ON_DEVICE(device, statistics, device); }
void fill_fresh_memory(bool on, Device device) { ON_DEVICE(device, fill_fresh, on, device); }
void release_cached_memory(Device device) { ON_DEVICE(device, release_cached, device); }

}  // namespace passband
