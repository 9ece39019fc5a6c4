// The memory checker of the checked build. For every byte of shared and device memory it knows
// whether it belongs to a variable, whether it was written, and who wrote and read it last; so it
// finds, at the access that goes wrong,
//   - accesses outside a variable, and reads of memory that nobody has written,
//   - races: two accesses, one of them a write and not both atomic, that nothing puts in order. In
//     a block, __syncthreads orders all threads and __syncwarp a warp's (shuffles order nothing).
//     Between blocks of one grid there is no order, except: what comes before __threadfence and
//     then an atomic of one block is before what comes after an atomic on the same address and then
//     __threadfence of another ("the last block to finish adds up").
// Kernel code is compiled with -fsanitize=thread, whose runtime library is not linked:
// checker_callbacks.cpp receives the calls instead, as the Linux kernel's KCSAN does.
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "tests/cuda_emulator/checker.h"

namespace passband::emulator {

namespace {

// Who accessed a byte last.
enum Kind : uint64_t {
  none,
  plain,
  atomic_access,
  several_lanes,   // readers: of one warp in one warp phase
  several_warps,   // readers: of one block in one phase
  several_blocks,  // readers: of one launch
};

struct Stamp {
  uint64_t block : 28 = 0;  // counted through all launches; 0 is none
  uint64_t phase : 14 = 0;
  uint64_t thread : 10 = 0;
  uint64_t warp_phase : 8 = 0;
  uint64_t kind : 3 = none;
  // in `write`: the byte belongs to a variable; in `read`: it has been written
  uint64_t flag : 1 = 0;
};

struct Cell {
  Stamp write, read;
};

template <class T> T* reserve(size_t count) {
  void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw OutOfMemory("cuda emulator: cannot reserve addresses for the checker");
  return static_cast<T*>(memory);
}

// Order between blocks of a launch that comes from fences and atomics.
struct Release {
  uint64_t block, phase, thread;  // everything this block did before
};

class MemoryChecker final : public Checker {
 public:
  MemoryChecker() : shared_(reserve<Cell>(kSharedSpan)), device_(reserve<Cell>(kDeviceSpan)) {
    checker = this;
  }

  void begin_launch() override {
    first_block_ = machine.block_number + 1;
    released_by_address_.clear();
    static_ranges_ = find_static_ranges();
  }

  void begin_block() override {
    std::fill_n(shared_, std::min(shared_used_, kSharedSpan), Cell{});
    shared_used_ = 0;
    acquired_.clear();
    observed_.clear();
    fenced_.assign(machine.threads.size(), false);
  }

  void shared_variable(const void* memory, size_t bytes) override {
    const auto offset = static_cast<size_t>(static_cast<const char*>(memory) - shared_begin());
    add_variable(shared_ + offset, bytes);
    shared_used_ = std::max(shared_used_, offset + bytes);
  }
  void device_allocated(const void* memory, size_t bytes) override {
    add_variable(device_cell(memory), bytes);
  }
  void device_released(const void* memory, size_t bytes) override {
    std::fill_n(device_cell(memory), bytes, Cell{});
  }
  void host_wrote(const void* memory, size_t bytes) override {
    for (Cell* cell = device_cell(memory); bytes > 0; --bytes, ++cell) {
      cell->write = {.flag = 1};
      cell->read = {.flag = 1};
    }
  }

  void fence() override {
    const uint64_t thread = machine.current->linear;
    fenced_[thread] = true;
    std::erase_if(observed_, [&](const Acquired& seen) {
      if (seen.thread != thread) return false;
      acquired_[seen.release.block] = {seen.release, machine.phase, thread};
      return true;
    });
  }

  void access(const void* memory, size_t bytes, Access kind, const Location& at) override {
    if (kind == Access::arrival) kind = Access::write;
    check(static_cast<const char*>(memory), bytes, kind, [&] { return text_of(at); });
    if (kind == Access::atomic && is_device(memory)) exchange_order(memory);
  }

  template <class Place>
  void check(const char* memory, size_t bytes, Access kind, const Place& place) {
    const bool in_shared = is_shared(memory);
    if (!in_shared && !is_device(memory)) return check_elsewhere(memory, bytes, kind, place);
    if (in_shared && async_copy_pending(memory, bytes))
      report("the destination of an async_copy is used before async_copy_wait", memory, bytes, kind,
             place);
    Cell* cell = in_shared ? shared_ + (memory - shared_begin()) : device_cell(memory);
    const Stamp now = current_stamp(kind);
    // Bytes that always move together have equal cells: then one check does for all. (Each equals
    // its neighbour.)
    const bool uniform = memcmp(cell, cell + 1, (bytes - 1) * sizeof(Cell)) == 0;
    for (size_t i = 0; i < (uniform ? 1 : bytes); ++i) {
      const char* problem = check_byte(cell[i], now, kind);
      if (!problem) continue;
      const Stamp& other = problem == kRaceWithRead ? cell[i].read : cell[i].write;
      report(problem == kOutside && !in_shared ? describe_device_address(memory) : problem, memory,
             bytes, kind, place,
             problem == kRaceWithRead || problem == kRaceWithWrite ? &other : nullptr);
    }
    if (uniform) std::fill_n(cell + 1, bytes - 1, cell[0]);
  }

 private:
  static constexpr const char* kOutside = "access outside a shared variable";
  static constexpr const char* kUnwritten = "read of memory that was never written";
  static constexpr const char* kRaceWithWrite = "race with a write";
  static constexpr const char* kRaceWithRead = "race with a read";

  Cell* device_cell(const void* memory) const {
    return device_ + (static_cast<const char*>(memory) - device_begin());
  }

  static void add_variable(Cell* cells, size_t bytes) {
    std::fill_n(cells, bytes, Cell{.write = {.flag = 1}, .read = {}});
  }

  static Stamp current_stamp(Access kind) {
    const Thread& thread = *machine.current;
    return {.block = machine.block_number,
            .phase = machine.phase,
            .thread = thread.linear,
            .warp_phase = machine.warps[thread.warp].phase,
            .kind = kind == Access::atomic ? atomic_access : plain,
            .flag = 1};
  }

  // Returns what is wrong, or records the access.
  const char* check_byte(Cell& cell, const Stamp& now, Access kind) const {
    if (!cell.write.flag) return kOutside;
    if (kind != Access::write && !cell.read.flag) return kUnwritten;
    const bool both_atomic = kind == Access::atomic && cell.write.kind == atomic_access;
    if (!both_atomic && !ordered(cell.write, now)) return kRaceWithWrite;
    if (kind == Access::read) {
      record_read(cell.read, now);
      return nullptr;
    }
    if (!ordered(cell.read, now)) return kRaceWithRead;
    cell.write = now;
    cell.read.flag = 1;
    return nullptr;
  }

  // Keeps of all readers what a later writer has to know.
  void record_read(Stamp& reader, const Stamp& now) const {
    const bool this_launch = reader.kind != none && reader.block >= first_block_;
    if (this_launch && reader.block != now.block) {
      reader.kind = several_blocks;
    } else if (this_launch && reader.phase == now.phase && reader.kind != several_blocks) {
      if (reader.thread / kWarp != now.thread / kWarp) reader.kind = several_warps;
      else if (reader.kind == several_warps) return;
      else if (reader.warp_phase != now.warp_phase) reader = now;
      else if (reader.thread != now.thread) reader.kind = several_lanes;
    } else if (!this_launch || reader.kind != several_blocks) {
      reader = now;
    }
    reader.flag = 1;
  }

  // Does `earlier` come before `now` by some rule?
  bool ordered(const Stamp& earlier, const Stamp& now) const {
    if (earlier.kind == none || earlier.block < first_block_) return true;
    if (earlier.kind == several_blocks) return false;
    if (earlier.block != now.block) return acquired(earlier, now);
    if (earlier.phase != now.phase) return true;
    if (earlier.kind == several_warps) return false;
    if (earlier.thread == now.thread && earlier.kind != several_lanes) return true;
    return earlier.thread / kWarp == now.thread / kWarp && earlier.warp_phase != now.warp_phase;
  }

  bool acquired(const Stamp& earlier, const Stamp& now) const {
    const auto it = acquired_.find(earlier.block);
    if (it == acquired_.end()) return false;
    const auto& [release, phase, thread] = it->second;
    const bool released = earlier.phase < release.phase || earlier.thread == release.thread;
    const bool received = now.phase > phase || now.thread == thread;
    return released && received;
  }

  // An atomic on `address`: hands on what this thread's fence has covered, and sees what other
  // blocks handed on, which the next fence makes an order.
  void exchange_order(const void* address) {
    const Thread& thread = *machine.current;
    auto& released = released_by_address_[address];
    for (const Release& release : released)
      if (release.block != machine.block_number)
        observed_.push_back({release, machine.phase, thread.linear});
    if (fenced_[thread.linear])
      released.push_back({machine.block_number, machine.phase, thread.linear});
  }

  template <class Place>
  void check_elsewhere(const char* memory, size_t bytes, Access kind, const Place& place) const {
    if (in_stacks(memory)) return;  // local variables
    const auto* call = reinterpret_cast<const char*>(machine.call);
    if (memory >= call && memory < call + machine.call->bytes) return;  // the kernel's arguments
    const bool is_static = std::ranges::any_of(static_ranges_, [&](const auto& range) {
      return memory >= range.first && memory < range.second;
    });
    if (is_static && kind == Access::read) return;  // constants, threadIdx
    report("a kernel touches host memory", memory, bytes, kind, place);
  }

  // Where the program and its libraries keep code, constants and static variables.
  static std::vector<std::pair<const char*, const char*>> find_static_ranges() {
    std::vector<std::pair<const char*, const char*>> ranges;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* list) {
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& segment = info->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD) continue;
            const auto* begin = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
            static_cast<decltype(ranges)*>(list)->emplace_back(begin, begin + segment.p_memsz);
          }
          return 0;
        },
        &ranges);
    return ranges;
  }

  template <class Place> [[noreturn]] void report(std::string problem, const char* memory,
                                                  size_t bytes, Access kind, const Place& place,
                                                  const Stamp* other = nullptr) const {
    machine.inside = true;
    const char* verb = kind == Access::read    ? "read"
                       : kind == Access::write ? "write"
                                               : "atomic operation";
    problem += concat_text(": ", verb, " of ", bytes, " bytes");
    if (is_device(memory)) problem += " of device memory";
    if (is_shared(memory)) problem += " of shared memory";
    if (other) problem += describe_other(*other);
    fail_at(std::move(problem), place());
  }

  std::string describe_other(const Stamp& other) const {
    const uint64_t b = other.block;
    std::string text =
        b == machine.block_number
            ? " by another thread of the block"
            : concat_text(" by the block that ran ", machine.block_number - b, " before this one");
    const unsigned t = static_cast<unsigned>(other.thread), x = blockDim.x, y = blockDim.y;
    if (other.kind == plain || other.kind == atomic_access)
      text += ", thread " + text_of(uint3{t % x, t / x % y, t / (x * y)});
    return text;
  }

  struct Acquired {
    Release release;
    uint64_t phase, thread;  // when and by whom in this block
  };

  Cell* shared_;
  Cell* device_;
  size_t shared_used_ = 0;
  uint64_t first_block_ = 0;  // of this launch
  std::vector<bool> fenced_;  // by thread
  std::unordered_map<const void*, std::vector<Release>> released_by_address_;
  std::vector<Acquired> observed_;                   // by an atomic of this block, no fence yet
  std::unordered_map<uint64_t, Acquired> acquired_;  // by block
  std::vector<std::pair<const char*, const char*>> static_ranges_;
};

MemoryChecker instance;

}  // namespace

void check_access(const void* memory, size_t bytes, Access kind, const void* code) {
  if (!machine.running || machine.inside || !machine.current) return;
  instance.check(static_cast<const char*>(memory), bytes, kind, [&] { return source_line(code); });
}

}  // namespace passband::emulator
