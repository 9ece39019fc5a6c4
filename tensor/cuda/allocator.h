// A caching allocator of device memory for tensors: large segments, cut into blocks and merged
// again.
//
// A block is handed out again as soon as its tensor dies. That is safe because all work runs on one
// stream: what was enqueued before the death has run before anything enqueued after it (stream.h).
// Tensors reach it through tensor/core/memory.h.
#pragma once
namespace passband::cuda {

// Off: each tensor is an allocation of its own, so that the emulator, or NVIDIA's
// compute-sanitizer, sees a write past its end. Off in the emulator and where the environment says
// PASSBAND_POOL=off, until it is asked for; on elsewhere.
void keep_segments(bool on);

// While one lives, blocks come from an arena of its own, which no other tensor gets: the addresses
// in a recorded graph must not be handed to anybody else. What is allocated inside must be freed
// before the arena ends its life.
class ArenaScope {
 public:
  explicit ArenaScope(int arena);
  ~ArenaScope();
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  int outer_;
};
// A new arena. Arenas live as long as the program.
int make_arena();
// While one lives, the segments of an arena stay where they are, also when none of their blocks is
// in use and memory is short: a recorded graph writes there in every launch.
class ArenaHold {
 public:
  explicit ArenaHold(int arena);
  ~ArenaHold();
  ArenaHold(const ArenaHold&) = delete;
  ArenaHold& operator=(const ArenaHold&) = delete;

 private:
  int arena_;
};

}  // namespace passband::cuda
