// One stream per device.
#include "tensor/cuda/stream.h"

#include <array>

#include "tensor/core/error.h"
#include "tensor/core/memory.h"

namespace passband::cuda {
namespace {

constexpr int kMostDevices = 64;
int device_index = 0;
bool recording_graph = false;

// Made once for each device, never freed.
uint64_t* step_offset_memory() {
  static std::array<uint64_t*, kMostDevices> memory{};
  uint64_t*& offset = memory[static_cast<size_t>(device_index)];
  if (!offset) {
    offset = static_cast<uint64_t*>(device_malloc(sizeof(uint64_t)));
    fill_async(offset, 0, sizeof(uint64_t), compute_stream());
  }
  return offset;
}

}  // namespace

// Never destroyed: tensors with static lifetime may die after any object of this file.
StreamHandle compute_stream() {
  static std::array<Stream*, kMostDevices> streams{};
  Stream*& stream = streams[static_cast<size_t>(device_index)];
  if (!stream) stream = new Stream;
  return *stream;
}

const uint64_t* step_offset() { return step_offset_memory(); }
void set_step_offset(uint64_t steps) { fill_elements(step_offset_memory(), steps, sizeof(uint64_t), 1); }

bool is_recording() { return recording_graph; }
RecordingScope::RecordingScope() { recording_graph = true; }
RecordingScope::~RecordingScope() { recording_graph = false; }

void use_device(int index) {
  const int count = device_count();
  if (index < 0 || index >= count || index >= kMostDevices)
    throw UsageError(concat_text("--device cuda:", index, ": this machine has ", count,
                                 count == 1 ? " CUDA device" : " CUDA devices",
                                 count ? ", counted from 0" : "; ./train --doctor says why"));
  set_device(index);
  device_index = index;
}

int device_in_use() { return device_index; }

}  // namespace passband::cuda
