// The CUDA runtime as this project uses it: memory, copies, streams, events, graphs. No CUDA header
// is needed to include this one. runtime_native.cu implements it on a GPU; in the emulated build
// tests/cuda_emulator does. Everything throws Error (OutOfMemory for memory) with the text of the
// failure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>

struct CUstream_st;  // what cudaStream_t points to

namespace passband::cuda {

// Work given to one stream runs in order. nullptr is the default stream.
using StreamHandle = CUstream_st*;
using CallSite = std::source_location;

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  size_t memory_bytes = 0;
  size_t shared_bytes = 0;  // that one block may use
  bool emulated = false;
};
int device_count();
DeviceInfo device_info(int device = 0);
void set_device(int device);
// The program holds kernels that the device can run: its machine code, or PTX that the driver
// compiles.
bool has_code_for(int device);

// The device in use multiplies by warp groups (warpgroup.cuh), and the program holds code for that.
bool has_warpgroup_products();

struct MemoryInfo {
  size_t free_bytes = 0, total_bytes = 0;
};
MemoryInfo memory_info();

// `bytes` of device memory, at least 16-byte aligned; nullptr for 0 bytes. Freeing waits for all
// work on the device.
void* device_malloc(size_t bytes, CallSite site = CallSite::current());
void device_free(void* memory);

// Host memory that copies can proceed from while the host goes on.
void* pinned_malloc(size_t bytes);
void pinned_free(void* memory);

enum class Copy { to_device, to_host, on_device };
// Copies when the stream gets there. Until it is synchronised, leave a host destination, and a
// pinned source, alone.
void copy_async(void* destination, const void* source, size_t bytes, Copy direction,
                StreamHandle stream = nullptr, CallSite site = CallSite::current());
// As above, and waits.
void copy(void* destination, const void* source, size_t bytes, Copy direction,
          StreamHandle stream = nullptr, CallSite site = CallSite::current());
// Sets each byte to `value`.
void fill_async(void* memory, int value, size_t bytes, StreamHandle stream = nullptr,
                CallSite site = CallSite::current());
// Calls `work` on the host when the stream gets there. `work` must not use the device.
void host_call_async(std::function<void()> work, StreamHandle stream = nullptr);

void synchronize(StreamHandle stream);
void synchronize_device();
// Throws if a kernel launch has failed since the last check.
void check_launches(const char* what);

class Event;

// A stream that neither waits for the default stream nor makes it wait.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  StreamHandle handle() const { return handle_; }
  operator StreamHandle() const { return handle_; }
  void synchronize() const { cuda::synchronize(handle_); }
  bool finished() const;
  // Work given to this stream from now on waits for the last `record` of `event`.
  void wait(const Event& event) const;

 private:
  StreamHandle handle_ = nullptr;
};

// A point in a stream's work.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(StreamHandle stream = nullptr);
  void synchronize() const;
  // for destructors: a failure is left to the next call that may throw
  void wait_quietly() const noexcept;
  bool finished() const;  // also when never recorded
  // Time on the device from `start` to this event, both recorded and finished.
  float milliseconds_since(const Event& start) const;

  struct Impl;
  Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// A recorded sequence of work, launched as one. Addresses and arguments are those of the recording.
class Graph {
 public:
  Graph();
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Runs `work`, which gives kernels, copies and fills to `stream`; they are recorded instead of
  // executed. Nothing in `work` may wait for the device. Memory that it allocates is allocated
  // once, not in each launch (and the emulator refuses it: a rehearsal should have made it
  // available).
  void record(StreamHandle stream, const std::function<void()>& work);
  void launch(StreamHandle stream) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace passband::cuda
