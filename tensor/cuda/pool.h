// Device memory of tensors: a growing pool of large segments, cut into blocks and merged again.
//
// A block is handed out again as soon as its tensor dies. That is safe because all work runs on one stream: what was
// enqueued before the death has run before anything enqueued after it (stream.h). Tensors reach it through
// tensor/core/memory.h.
#pragma once
namespace passband::cuda {

// Off: each tensor is an allocation of its own, so that the emulator sees a write past its end. Off in the emulator
// until it is asked for, on elsewhere.
void pool_keep_segments(bool on);

// While one lives, blocks come from an arena of its own, which no other tensor gets: the addresses in a recorded graph
// must not be handed to anybody else. What is allocated inside must be freed before the arena ends its life.
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

}  // namespace passband::cuda
