// One stream per device.
#include "tensor/cuda/stream.h"

#include <array>

#include "tensor/core/error.h"

namespace passband::cuda {
namespace {

constexpr int kMostDevices = 64;
int device_index = 0;
bool recording_graph = false;

}  // namespace

// Never destroyed: tensors with static lifetime may die after any object of this file.
StreamHandle compute_stream() {
  static std::array<Stream*, kMostDevices> streams{};
  Stream*& stream = streams[static_cast<size_t>(device_index)];
  if (!stream) stream = new Stream;
  return *stream;
}

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
