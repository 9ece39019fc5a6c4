// One stream per device.
#include "tensor/cuda/stream.h"

#include <array>
#include <memory>

#include "tensor/core/error.h"
#include "tensor/core/memory.h"
#include "tensor/cuda/device_memory.h"
#include "tensor/cuda/device_trouble.h"
#include "tensor/cuda/index_fault.h"

namespace passband::cuda {
namespace {

constexpr int kMostDevices = 64;
int device_index = 0;
bool recording_graph = false;

// What each device is given on first use. At the end of the program, tensors with static lifetime
// may die later: they ask for none of this.
struct DeviceState {
  DeviceState() {
    fill_async(step_offset.data(), 0, sizeof(uint64_t), stream);
    fill_async(arrivals.data(), 0, kArrivals * sizeof(unsigned), stream);
  }
  Stream stream;
  DeviceMemory step_offset{sizeof(uint64_t)}, arrivals{kArrivals * sizeof(unsigned)};
};

std::unique_ptr<DeviceState>& state() {
  static std::array<std::unique_ptr<DeviceState>, kMostDevices> states;
  return states[static_cast<size_t>(device_index)];
}

DeviceState& made_state() {
  if (!state()) state() = std::make_unique<DeviceState>();
  return *state();
}

}  // namespace

StreamHandle compute_stream() { return made_state().stream; }
void compute_stream_waits(const Event& event) { made_state().stream.wait(event); }

const uint64_t* step_offset() {
  return static_cast<const uint64_t*>(made_state().step_offset.data());
}
void set_step_offset(uint64_t steps) {
  fill_elements(made_state().step_offset.data(), steps, sizeof(uint64_t), 1);
}

unsigned* arrivals() { return static_cast<unsigned*>(made_state().arrivals.data()); }

bool is_recording() { return recording_graph; }
RecordingScope::RecordingScope() { recording_graph = true; }
RecordingScope::~RecordingScope() { recording_graph = false; }

void use_device(int index) {
  const int count = device_count();
  if (index < 0 || index >= count || index >= kMostDevices)
    throw UsageError(
        concat_text("--device cuda:", index, ": this machine has ", count,
                    count == 1 ? " CUDA device" : " CUDA devices",
                    count ? ", counted from 0" : "; the driver says: " + device_trouble()));
  set_device(index);
  device_index = index;
}

int device_in_use() { return device_index; }

size_t shared_memory_limit() {
  static std::array<size_t, kMostDevices> limits{};
  size_t& limit = limits[static_cast<size_t>(device_index)];
  const bool emulated = limit == 0 && device_info(device_index).emulated;
  if (emulated) return device_info(device_index).shared_bytes;  // a test may change it
  if (limit == 0) limit = device_info(device_index).shared_bytes;
  return limit;
}

void close_device() {
  synchronize_device();
  release_cached({DeviceType::cuda, static_cast<int8_t>(device_index)});
  release_index_fault_slot();
  state() = nullptr;
}

}  // namespace passband::cuda
