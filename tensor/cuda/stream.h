// The stream that every kernel and every library call of this project runs on. One stream is why
// memory can be reused the moment a tensor dies: what reads it next runs later.
//
// Scratch memory of a kernel is a tensor, `Tensor::empty(shape, DType::f32, x.device())`: the
// allocator (allocator.h) hands it out without asking the driver, and takes it back when the tensor
// dies, although the kernel may not have run yet.
#pragma once
#include <cstdint>

#include "tensor/cuda/runtime.h"

namespace passband::cuda {

// The compute stream of the device in use; made on first use, lives as long as the program.
StreamHandle compute_stream();
// Work given to it from now on waits for the last `record` of `event`.
void compute_stream_waits(const Event& event);

// Whether the work given to the compute stream is being recorded: nothing may wait for the device
// then.
bool is_recording();
// While one lives, is_recording() holds.
class RecordingScope {
 public:
  RecordingScope();
  ~RecordingScope();
  RecordingScope(const RecordingScope&) = delete;
  RecordingScope& operator=(const RecordingScope&) = delete;
};

// In device memory: how many steps after the recording a launched recording runs, 0 elsewhere.
// Kernels that draw random numbers add it to the step of their key, which is that of the recording.
const uint64_t* step_offset();
// Sets it for the work given to the compute stream from now on.
void set_step_offset(uint64_t steps);

// Counters in device memory, which kernels find at zero and leave so (last_block.cuh).
inline constexpr int kArrivals = 4096;
unsigned* arrivals();

// Makes `index` the device that kernels run on. Throws UsageError when there is no such device.
void use_device(int index);
int device_in_use();
// Bytes of shared memory that a block may have on the device in use: 99 KiB on a GeForce, 163 KiB
// on an A100, 227 KiB on an H100.
size_t shared_memory_limit();

}  // namespace passband::cuda
