// Counts the memory traffic of kernels (counter.h). It listens where the memory checker does
// (checker_callbacks.cpp), so a program has the one or the other.
#include "tests/cuda_emulator/counter.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "tests/cuda_emulator/checker.h"

namespace passband::emulator {

namespace {

constexpr uint64_t kSector = 32, kBanks = 32, kWord = 4;
constexpr uint64_t kMix = 0x9e3779b97f4a7c15;  // an odd number that spreads bits

struct LaneAccess {
  uint64_t address;
  uint32_t bytes, lane;
};

// The lanes of one warp instruction that have come so far.
struct WarpAccess {
  bool shared = false;
  std::vector<LaneAccess> lanes;
};

// Which time this lane executes an access, since the last barrier.
struct Executed {
  uint64_t epoch = 0;
  uint32_t times = 0;
};

// A pack (vector.cuh) that the compiler may move in pieces: its first piece stands for all.
struct Pack {
  uint64_t address = 0, bytes = 0, moved = 0;
};

class TrafficCounter final : public Checker {
 public:
  TrafficCounter() { checker = this; }

  void begin_launch() override { finish_block(); }
  void begin_block() override {
    finish_block();
    packs_.assign(machine.threads.size(), {});
  }
  void shared_variable(const void*, size_t) override {}
  void device_allocated(const void*, size_t) override {}
  void device_released(const void*, size_t) override {}
  void host_wrote(const void*, size_t) override {}
  void fence() override {}

  void pack(const void* memory, size_t bytes) override {
    packs_[machine.current->linear] = {reinterpret_cast<uint64_t>(memory), bytes, 0};
  }

  void access(const void* memory, size_t bytes, Access kind, const Location& at) override {
    if (kind == Access::arrival) return;
    const auto file = reinterpret_cast<uint64_t>(at.file_name());
    const uint64_t place = (file * kMix + at.line()) * kMix + at.column();
    note(memory, bytes, place * 2 + is_shared(memory));  // a copy has an access on either side
  }

  void note(const void* memory, size_t bytes, uint64_t instruction) {
    const bool shared = is_shared(memory);
    if (!shared && !is_device(memory)) return;  // local variables, constants
    const auto address = reinterpret_cast<uint64_t>(memory);
    const Thread& thread = *machine.current;
    Pack& pack = packs_[thread.linear];
    if (address >= pack.address && address + bytes <= pack.address + pack.bytes) {
      const bool first = pack.moved == 0;
      pack.moved += bytes;
      const uint64_t whole = pack.bytes, from = pack.address;
      if (pack.moved >= pack.bytes) pack = {};
      if (first) join(thread, from, whole, instruction, shared);
    } else {
      pack = {};
      join(thread, address, bytes, instruction, shared);
    }
  }

  MemoryCounts take() {
    finish_block();
    return counts_;
  }
  void reset() {
    finish_block();
    counts_ = {};
  }

 private:
  void join(const Thread& thread, uint64_t address, uint64_t bytes, uint64_t instruction,
            bool shared) {
    const uint64_t epoch = uint64_t{machine.phase} << 32 | machine.warps[thread.warp].phase;
    Executed& executed = executed_[instruction * kMix + thread.linear];
    if (executed.epoch != epoch) executed = {epoch, 0};
    const uint64_t time = executed.times++;
    const Key key{instruction, epoch, time, thread.warp};
    WarpAccess& warp = open_[key];
    warp.shared = shared;
    warp.lanes.push_back({address, static_cast<uint32_t>(bytes), thread.lane});
    if (warp.lanes.size() < kWarp) return;
    count(warp);
    open_.erase(key);
  }

  void finish_block() {
    for (const auto& [key, warp] : open_) count(warp);
    open_.clear();
    executed_.clear();
  }

  void count(const WarpAccess& warp) {
    uint64_t bytes = 0;
    for (const LaneAccess& lane : warp.lanes) bytes += lane.bytes;
    if (!warp.shared) {
      ++counts_.global_instructions;
      counts_.global_bytes += bytes;
      counts_.global_sectors += distinct(warp.lanes, kSector).size();
      return;
    }
    ++counts_.shared_instructions;
    counts_.shared_bytes += bytes;
    uint32_t widest = kWord;
    for (const LaneAccess& lane : warp.lanes) widest = std::max(widest, lane.bytes);
    const uint32_t together = kWarp * kWord / widest;  // lanes that are served at once
    for (uint32_t first = 0; first < kWarp; first += together) {
      std::vector<LaneAccess> group;
      for (const LaneAccess& lane : warp.lanes)
        if (lane.lane >= first && lane.lane < first + together) group.push_back(lane);
      if (group.empty()) continue;
      const uint64_t passes = passes_of(group);
      counts_.shared_passes += passes;
      counts_.bank_conflicts += passes - 1;
    }
  }

  // The numbers of the pieces of `size` bytes that lanes touch, each once.
  static std::vector<uint64_t> distinct(const std::vector<LaneAccess>& lanes, uint64_t size) {
    std::vector<uint64_t> pieces;
    for (const LaneAccess& lane : lanes)
      for (uint64_t piece = lane.address / size; piece <= (lane.address + lane.bytes - 1) / size;
           ++piece)
        pieces.push_back(piece);
    std::ranges::sort(pieces);
    pieces.erase(std::ranges::unique(pieces).begin(), pieces.end());
    return pieces;
  }

  static uint64_t passes_of(const std::vector<LaneAccess>& lanes) {
    std::array<uint64_t, kBanks> words{};
    for (const uint64_t word : distinct(lanes, kWord)) ++words[word % kBanks];
    return *std::ranges::max_element(words);
  }

  struct Key {
    uint64_t instruction, epoch, time;
    unsigned warp;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return ((key.instruction * kMix + key.epoch) * kMix + key.time) * kMix + key.warp;
    }
  };

  MemoryCounts counts_;
  std::unordered_map<Key, WarpAccess, Hash> open_;
  std::unordered_map<uint64_t, Executed> executed_;
  std::vector<Pack> packs_;  // by thread
};

TrafficCounter instance;

}  // namespace

MemoryCounts memory_counts() { return instance.take(); }
void reset_memory_counts() { instance.reset(); }

void check_access(const void* memory, size_t bytes, Access, const void* code) {
  if (!machine.running || machine.inside || !machine.current) return;
  instance.note(memory, bytes, reinterpret_cast<uint64_t>(code));
}

}  // namespace passband::emulator
