// Device memory: one reserved range of addresses, in which every allocation has pages of its own
// and ends at the end of a page, between pages that nobody may touch. Closed to host code; the
// device's work opens allocations one by one when it touches them, few of many.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

// no more than what vector accesses need: what relies on more is found
constexpr size_t kAlignment = 16;
constexpr size_t kRemembered = 4096;  // released allocations, for messages

struct Allocation {
  char* pages = nullptr;
  size_t page_bytes = 0;
  char* memory = nullptr;
  size_t bytes = 0;
  Location site;
  bool open = false;  // may be touched
  char* end() const { return memory + bytes; }
};

struct Arena {
  char* begin = nullptr;
  size_t next = 0;  // where to look for room first: an address is used again as late as possible
  std::map<const char*, Allocation> live;
  std::deque<Allocation> released;
  int open = 0;  // nesting of DeviceAccess
  std::vector<Allocation*> opened;
  std::atomic_flag opening;  // library calls touch memory from several threads

  void reserve() {
    if (begin) return;
    void* memory =
        mmap(nullptr, kDeviceSpan, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw OutOfMemory("cuda emulator: cannot reserve addresses for device memory");
    begin = static_cast<char*>(memory);
  }

  // Pages for `bytes`, with an untouchable page on either side.
  char* find_room(size_t bytes) {
    for (int lap = 0; lap < 2; ++lap) {
      size_t offset = next + kPage;
      auto after = live.lower_bound(begin + next);
      while (offset + bytes + kPage <= kDeviceSpan) {
        if (after == live.end() || after->second.pages >= begin + offset + bytes + kPage) {
          next = offset + bytes;
          return begin + offset;
        }
        offset =
            static_cast<size_t>(after->second.pages + after->second.page_bytes - begin) + kPage;
        ++after;
      }
      next = 0;
    }
    return nullptr;
  }

  static void allow(const Allocation& a) {
    mprotect(a.pages, a.page_bytes, PROT_READ | PROT_WRITE);
  }
  static void forbid(const Allocation& a) { mprotect(a.pages, a.page_bytes, PROT_NONE); }

  void close_all() {
    for (Allocation* a : opened) {
      forbid(*a);
      a->open = false;
    }
    opened.clear();
  }
} arena;

const Allocation* allocation_of(const void* memory) {
  auto it = arena.live.upper_bound(static_cast<const char*>(memory));
  if (it == arena.live.begin()) return nullptr;
  --it;
  return memory < it->second.end() ? &it->second : nullptr;
}

#if !defined(__SANITIZE_ADDRESS__)
// The first byte is poison, and each equals its neighbour.
bool poisoned(const char* begin, const char* end) {
  if (begin == end) return true;
  const auto neighbours = static_cast<size_t>(end - begin) - 1;
  return static_cast<unsigned char>(*begin) == kPoison && !memcmp(begin, begin + 1, neighbours);
}
#endif

std::string describe(const Allocation& a) {
  return concat_text(a.bytes, " bytes allocated at ", text_of(a.site));
}

}  // namespace

char* device_begin() { return arena.begin; }

bool is_device(const void* address) {
  const auto* p = static_cast<const char*>(address);
  return arena.begin && p >= arena.begin && p < arena.begin + kDeviceSpan;
}

void* allocate(size_t bytes, const Location& site) {
  if (bytes == 0) return nullptr;
  install_fault_handler();  // from now on, host code may touch what it must not
  arena.reserve();
  Statistics& counters = machine.statistics;
  if (counters.live_bytes + bytes > options().device_bytes)
    throw OutOfMemory(
        with_scope(concat_text("out of device memory: ", bytes, " bytes asked for, ",
                               counters.live_bytes, " of ", options().device_bytes, " in use")));
  Allocation a;
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  a.page_bytes = (padded + kPage - 1) / kPage * kPage;
  a.pages = arena.find_room(a.page_bytes);
  if (!a.pages) throw OutOfMemory(with_scope("out of device memory: its addresses are fragmented"));
  a.memory = a.pages + a.page_bytes - padded;
  a.bytes = bytes;
  a.site = site;
  Arena::allow(a);
  unpoison_memory(a.pages, a.page_bytes);
  memset(a.pages, kPoison, a.page_bytes);
  poison_memory(a.pages, static_cast<size_t>(a.memory - a.pages));
  poison_memory(a.end(), padded - bytes);
  Allocation& entry = arena.live[a.memory] = a;
  arena.opened.reserve(arena.live.size());  // open_allocation must not allocate
  if (options().guard_device_memory && arena.open == 0) {
    Arena::forbid(a);
  } else {
    entry.open = true;
    arena.opened.push_back(&entry);
  }
  counters.live_bytes += bytes;
  counters.peak_bytes = std::max(counters.peak_bytes, counters.live_bytes);
  if (checker) checker->device_allocated(a.memory, bytes);
  return a.memory;
}

void release(void* memory) {
  if (!memory) return;
  const auto it = arena.live.find(static_cast<char*>(memory));
  if (it == arena.live.end())
    throw Fault(
        with_scope(concat_text("device_free: ", memory, " is not the start of a live allocation",
                               is_device(memory) ? "; " + describe_device_address(memory) : "")));
  const Allocation a = it->second;
  std::erase(arena.opened, &it->second);
  arena.live.erase(it);
  machine.statistics.live_bytes -= a.bytes;
  if (checker) checker->device_released(a.memory, a.bytes);
  madvise(a.pages, a.page_bytes, MADV_DONTNEED);
  Arena::forbid(a);
  arena.released.push_back(a);
  if (arena.released.size() > kRemembered) arena.released.pop_front();
}

void check_device_range(const void* memory, size_t bytes, const char* operation) {
  const Allocation* a = allocation_of(memory);
  if (!a)
    throw Fault(with_scope(concat_text(
        operation, ": ", memory,
        is_device(memory) ? " is in no live allocation: " + describe_device_address(memory)
                          : " is not device memory")));
  if (static_cast<const char*>(memory) + bytes > a->end())
    throw Fault(with_scope(concat_text(operation, ": ", bytes, " bytes from byte ",
                                       static_cast<const char*>(memory) - a->memory, " leave the ",
                                       describe(*a))));
}

void check_device_margins() {
#if !defined(__SANITIZE_ADDRESS__)  // which watches them itself, and forbids to read them
  for (const Allocation* touched : arena.opened) {
    const Allocation& a = *touched;
    if (!poisoned(a.end(), a.pages + a.page_bytes)) {
      memset(a.end(), kPoison, static_cast<size_t>(a.pages + a.page_bytes - a.end()));
      return note_fault("write past the end of the " + describe(a));
    }
    if (!poisoned(a.pages, a.memory)) {
      memset(a.pages, kPoison, static_cast<size_t>(a.memory - a.pages));
      return note_fault("write before the start of the " + describe(a));
    }
  }
#endif
}

std::string describe_device_address(const void* address) {
  const auto* p = static_cast<const char*>(address);
  for (auto a = arena.released.rbegin(); a != arena.released.rend(); ++a)
    if (p >= a->memory && p < a->end()) return "use after free of the " + describe(*a);
  const auto after = arena.live.upper_bound(p);
  const Allocation* nearest = after == arena.live.end() ? nullptr : &after->second;
  size_t distance = nearest ? static_cast<size_t>(nearest->memory - p) : ~size_t{0};
  std::string text = nearest ? concat_text(distance, " bytes before the ", describe(*nearest)) : "";
  if (after != arena.live.begin()) {
    const Allocation& before = std::prev(after)->second;
    if (p < before.end())
      return concat_text("byte ", p - before.memory, " of the ", describe(before));
    const auto past = static_cast<size_t>(p - before.end());
    if (past < distance) text = concat_text(past, " bytes past the end of the ", describe(before));
  }
  return "access outside device memory" + (text.empty() ? "" : ": " + text);
}

bool open_allocation(const void* address) {
  if (arena.open == 0 && options().guard_device_memory) return false;
  const auto* p = static_cast<const char*>(address);
  auto it = arena.live.upper_bound(p);
  // before the first byte, but in its page
  if (it != arena.live.end() && p >= it->second.pages) ++it;
  if (it == arena.live.begin()) return false;
  Allocation& a = std::prev(it)->second;
  if (p < a.pages || p >= a.pages + a.page_bytes) return false;
  while (arena.opening.test_and_set(std::memory_order_acquire)) {
  }
  if (!a.open) {
    Arena::allow(a);
    a.open = true;
    arena.opened.push_back(&a);
  }
  arena.opening.clear(std::memory_order_release);
  return true;
}

DeviceAccess::DeviceAccess() {
  if (arena.open++ == 0) install_fault_handler();
}

DeviceAccess::~DeviceAccess() {
  if (--arena.open == 0 && options().guard_device_memory) arena.close_all();
}

void mark_written(void* device, size_t bytes) {
  if (checker) checker->host_wrote(device, bytes);
}

Statistics statistics() { return machine.statistics; }

std::vector<std::string> live_allocations() {
  std::vector<std::string> list;
  for (const auto& [memory, a] : arena.live) list.push_back(describe(a));
  return list;
}

}  // namespace passband::emulator
