// Best fit with splitting and merging, in segments that the driver gives.
#include "tensor/cuda/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tensor/core/memory.h"
#include "tensor/cuda/index_fault.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

constexpr int64_t kGranule = 512;  // what the driver aligns to as well
constexpr int64_t kMiB = int64_t{1} << 20;
// small and large blocks do not share segments: a small one would pin a large one
constexpr int64_t kSmall = kMiB;
constexpr int64_t kSmallSegment = 2 * kMiB, kLargeSegment = 64 * kMiB;
constexpr size_t kListed = 8;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

struct Block {
  int64_t bytes = 0;
  int64_t segment = 0;
  int arena = 0;
  bool small = false;
  bool live = false;
  const std::string* scope = nullptr;  // of the tensor in it
};

// Arenas whose segments must stay. Never destroyed, as the allocators below.
std::set<int>& held_arenas() {
  static auto* const instance = new std::set<int>;
  return *instance;
}

// Free blocks of one kind, the smallest first.
using FreeList = std::set<std::pair<int64_t, std::byte*>>;

class Allocator {
 public:
  std::byte* allocate(int64_t bytes, int arena) {
    const int64_t size = round_up(std::max<int64_t>(bytes, 1), kGranule);
    std::lock_guard lock(mutex_);
    std::byte* block = keeps_segments() ? take_cached(size, arena) : nullptr;
    if (block) ++statistics_.cache_hits;
    else block = grow(bytes, size, arena);
    Block& entry = blocks_.at(block);
    entry.live = true;
    entry.scope = &*scopes_.insert(current_scope()).first;
    ++statistics_.allocations;
    statistics_.live_bytes += entry.bytes;
    statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes);
    if (fill_)
      fill_async(block, 0xff, static_cast<size_t>(keeps_segments() ? entry.bytes : bytes),
                 compute_stream());
    return block;
  }

  void free(std::byte* block) {
    std::lock_guard lock(mutex_);
    const auto at = blocks_.find(block);
    at->second.live = false;
    statistics_.live_bytes -= at->second.bytes;
    if (!keeps_segments() && is_whole_segment(at)) return give_back(at);
    free_list(at->second).insert({merge(at), merged_address_});
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }
  void fill(bool on) { fill_ = on; }
  void keep_segments(bool on) { keep_ = on ? Keep::yes : Keep::no; }
  void release_cached() {
    std::lock_guard lock(mutex_);
    release_locked();
  }

 private:
  using Blocks = std::map<std::byte*, Block>;
  enum class Keep : uint8_t { unknown, yes, no };

  bool keeps_segments() {
    if (keep_ == Keep::unknown) {
      const char* const wish = std::getenv("PASSBAND_POOL");
      const bool off = wish && std::string_view(wish) == "off";
      keep_ = off || device_info(device_in_use()).emulated ? Keep::no : Keep::yes;
    }
    return keep_ == Keep::yes;
  }

  FreeList& free_list(const Block& block) { return free_[{block.arena, block.small}]; }

  std::byte* take_cached(int64_t size, int arena) {
    FreeList& list = free_[{arena, size <= kSmall}];
    const auto found = list.lower_bound({size, nullptr});
    if (found == list.end()) return nullptr;
    std::byte* const address = found->second;
    list.erase(found);
    split(address, size);
    return address;
  }

  // Leaves the first `size` bytes of a free block in it and makes a block of the rest, if that is
  // worth one.
  void split(std::byte* address, int64_t size) {
    Block& block = blocks_.at(address);
    const int64_t rest = block.bytes - size;
    if (rest < (block.small ? kGranule : kSmall)) return;
    block.bytes = size;
    Block tail = block;
    tail.bytes = rest;
    blocks_[address + size] = tail;
    free_list(tail).insert({rest, address + size});
  }

  std::byte* grow(int64_t bytes, int64_t size, int arena) {
    const bool small = size <= kSmall;
    const int64_t preferred =
        small ? kSmallSegment : std::max(kLargeSegment, round_up(size, 2 * kMiB));
    std::vector<int64_t> attempts{keeps_segments() ? preferred : bytes};
    if (keeps_segments()) attempts.insert(attempts.end(), {round_up(size, 2 * kMiB), size});
    for (const bool released : {false, true}) {
      if (released) release_locked();
      for (const int64_t segment : attempts)
        if (std::byte* const address = from_driver(segment, small, arena)) {
          if (keeps_segments()) split(address, size);
          return address;
        }
    }
    throw OutOfMemory(with_scope(describe_shortage(size)));
  }

  std::byte* from_driver(int64_t bytes, bool small, int arena) {
    try {
      auto* const address =
          static_cast<std::byte*>(device_malloc(static_cast<size_t>(std::max<int64_t>(bytes, 1))));
      blocks_[address] = {
          .bytes = bytes, .segment = next_segment_++, .arena = arena, .small = small};
      statistics_.reserved_bytes += bytes;
      return address;
    } catch (const OutOfMemory&) {
      return nullptr;
    }
  }

  bool joins(Blocks::iterator left, Blocks::iterator right) const {
    return left->second.segment == right->second.segment && !left->second.live &&
           !right->second.live;
  }

  // Joins a block that became free with its free neighbours; returns the size, leaves the address
  // in merged_address_.
  int64_t merge(Blocks::iterator at) {
    if (const auto next = std::next(at); next != blocks_.end() && joins(at, next)) {
      free_list(next->second).erase({next->second.bytes, next->first});
      at->second.bytes += next->second.bytes;
      blocks_.erase(next);
    }
    if (at != blocks_.begin() && joins(std::prev(at), at)) {
      const auto previous = std::prev(at);
      free_list(previous->second).erase({previous->second.bytes, previous->first});
      previous->second.bytes += at->second.bytes;
      blocks_.erase(at);
      at = previous;
    }
    merged_address_ = at->first;
    return at->second.bytes;
  }

  bool is_whole_segment(Blocks::iterator at) const {
    const bool first = at == blocks_.begin() || std::prev(at)->second.segment != at->second.segment;
    const auto next = std::next(at);
    return first && (next == blocks_.end() || next->second.segment != at->second.segment);
  }

  void give_back(Blocks::iterator at) {
    statistics_.reserved_bytes -= at->second.bytes;
    device_free(at->first);
    blocks_.erase(at);
  }

  void release_locked() {
    for (auto at = blocks_.begin(); at != blocks_.end();) {
      const auto next = std::next(at);
      if (!at->second.live && is_whole_segment(at) && !held_arenas().contains(at->second.arena)) {
        free_list(at->second).erase({at->second.bytes, at->first});
        give_back(at);
      }
      at = next;
    }
  }

  std::string describe_shortage(int64_t size) const {
    const auto mib = [](int64_t bytes) { return concat_text((bytes + kMiB / 2) / kMiB, " MiB"); };
    std::map<std::string, std::pair<int64_t, int64_t>> by_scope;  // bytes, tensors
    for (const auto& [address, block] : blocks_)
      if (block.live) {
        auto& [bytes, tensors] = by_scope[*block.scope];
        bytes += block.bytes;
        ++tensors;
      }
    std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> largest(by_scope.begin(),
                                                                             by_scope.end());
    std::ranges::sort(largest, std::ranges::greater{},
                      [](const auto& entry) { return entry.second.first; });
    const MemoryInfo driver = memory_info();
    std::string text = concat_text("out of device memory: ", mib(size), " asked for, ",
                                   mib(statistics_.live_bytes), " held by tensors, ",
                                   mib(static_cast<int64_t>(driver.free_bytes)), " of ",
                                   mib(static_cast<int64_t>(driver.total_bytes)),
                                   " free; use a smaller --batch-size. Most is held by");
    for (size_t i = 0; i < std::min(largest.size(), kListed); ++i)
      text +=
          concat_text(i ? ", " : " ", largest[i].first.empty() ? "(no module)" : largest[i].first,
                      " (", mib(largest[i].second.first), " in ", largest[i].second.second, ")");
    return text;
  }

  std::mutex mutex_;
  Blocks blocks_;                                  // by address
  std::map<std::pair<int, bool>, FreeList> free_;  // by arena and smallness
  std::unordered_set<std::string> scopes_;
  MemoryStatistics statistics_;
  std::byte* merged_address_ = nullptr;
  int64_t next_segment_ = 0;
  Keep keep_ = Keep::unknown;
  bool fill_ = false;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
std::map<int, Allocator>& allocators() {
  static auto* const instance = new std::map<int, Allocator>;
  return *instance;
}

int current_arena = 0, arenas = 0;

}  // namespace

// Throws OutOfMemory that lists the modules whose tensors hold most.
std::byte* allocate(int64_t bytes, Device device) {
  return allocators()[device.index].allocate(bytes, current_arena);
}
void release(std::byte* block, int64_t, Device device) { allocators()[device.index].free(block); }
MemoryStatistics statistics(Device device) { return allocators()[device.index].statistics(); }
void fill_fresh(bool on, Device device) { allocators()[device.index].fill(on); }
void release_cached(Device device) { allocators()[device.index].release_cached(); }

void clear_bytes(void* memory, int64_t bytes) {
  fill_async(memory, 0, static_cast<size_t>(bytes), compute_stream());
}

void copy_bytes(void* destination, Device to, const void* source, Device from, int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  if (to.is_cuda())
    return copy_async(destination, source, size, from.is_cuda() ? Copy::on_device : Copy::to_device,
                      compute_stream());
  copy(destination, source, size, Copy::to_host, compute_stream());
  throw_index_fault();
}

void keep_segments(bool on) { allocators()[device_in_use()].keep_segments(on); }

ArenaScope::ArenaScope(int arena) : outer_(current_arena) { current_arena = arena; }
ArenaScope::~ArenaScope() { current_arena = outer_; }
int make_arena() { return ++arenas; }

ArenaHold::ArenaHold(int arena) : arena_(arena) { held_arenas().insert(arena); }
ArenaHold::~ArenaHold() { held_arenas().erase(arena_); }

}  // namespace passband::cuda
