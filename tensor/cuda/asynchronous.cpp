// Markers are events, recordings are graphs with an arena of their own.
#include "tensor/core/asynchronous.h"

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "tensor/cuda/allocator.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

class EventMarker : public Marker {
 public:
  void record() override { event_.record(compute_stream()); }
  bool reached() const override { return event_.finished(); }
  void wait() const override { event_.synchronize(); }
  void wait_quietly() const noexcept override { event_.wait_quietly(); }

 private:
  Event event_;
};

class GraphRecording : public Recording {
 public:
  // The rehearsal fills the arena, so that nothing is asked of the driver while the graph is
  // recorded.
  GraphRecording() : arena_(make_arena()) { keep_segments(true); }

  void run(const std::function<void()>& work) override {
    if (runs_ < 2) {
      const ArenaScope arena(arena_);
      if (runs_ == 0) work();
      else record(work);
    }
    if (runs_ > 0) launch(static_cast<uint64_t>(runs_ - 1));
    ++runs_;
  }

 private:
  // Each run is one step further than the one before.
  void launch(uint64_t steps_since) {
    set_step_offset(steps_since);
    graph_.launch(compute_stream());
    set_step_offset(0);
  }

  void record(const std::function<void()>& work) {
    hold_.emplace(arena_);
    graph_.record(compute_stream(), [&] {
      const RecordingScope recording;
      work();
    });
  }

  int arena_;
  std::optional<ArenaHold> hold_;  // from the recording on
  Graph graph_;
  int64_t runs_ = 0;
};

// Pinning stops the device, so blocks are kept: a training step asks for the same sizes again and
// again.
class PinnedBlocks {
 public:
  std::byte* take(int64_t bytes) {
    std::lock_guard lock(mutex_);
    std::vector<std::byte*>& blocks = free_[bytes];
    if (blocks.empty()) return static_cast<std::byte*>(pinned_malloc(static_cast<size_t>(bytes)));
    std::byte* const block = blocks.back();
    blocks.pop_back();
    return block;
  }
  void give(std::byte* block, int64_t bytes) {
    std::lock_guard lock(mutex_);
    free_[bytes].push_back(block);
  }

 private:
  std::mutex mutex_;
  std::map<int64_t, std::vector<std::byte*>> free_;
};

// Never destroyed: as the allocator of device memory.
PinnedBlocks& pinned_blocks() {
  static auto* const instance = new PinnedBlocks;
  return *instance;
}

}  // namespace

std::unique_ptr<Marker> make_marker() { return std::make_unique<EventMarker>(); }
std::unique_ptr<Recording> make_recording() { return std::make_unique<GraphRecording>(); }
std::byte* allocate_pinned(int64_t bytes) { return pinned_blocks().take(bytes); }
void release_pinned(std::byte* memory, int64_t bytes) { pinned_blocks().give(memory, bytes); }

void copy_bytes_async(void* destination, Device to, const void* source, Device from,
                      int64_t bytes) {
  const Copy direction = !to.is_cuda()    ? Copy::to_host
                         : from.is_cuda() ? Copy::on_device
                                          : Copy::to_device;
  copy_async(destination, source, static_cast<size_t>(bytes), direction, compute_stream());
}

}  // namespace passband::cuda
