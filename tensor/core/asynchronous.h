// Work that the host gives to a device without waiting for it: copies from and to pinned memory,
// markers, recorded work. On the CPU everything is done at once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "tensor/core/tensor.h"

namespace passband {

// A point in the device's work.
class Marker {
 public:
  virtual ~Marker() = default;
  virtual void record() = 0;
  virtual bool reached() const = 0;  // also when never recorded
  virtual void wait() const = 0;
  // For destructors: a failure of the device is left to the next call that may throw.
  virtual void wait_quietly() const noexcept = 0;
};

// Work that always does the same on the same memory: run once as it is, recorded the second time,
// and from then on launched as one. Tensors that it makes live in memory of its own, which the next
// run overwrites. A run is a training step: the step of random keys counts on from run to run.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void run(const std::function<void()>& work) = 0;
};

namespace cpu {
std::unique_ptr<Marker> make_marker();
std::unique_ptr<Recording> make_recording();
std::byte* allocate_pinned(int64_t bytes);
void release_pinned(std::byte* memory, int64_t bytes);
void copy_bytes_async(void* destination, Device to, const void* source, Device from, int64_t bytes);
}  // namespace cpu

namespace cuda {
std::unique_ptr<Marker> make_marker();
std::unique_ptr<Recording> make_recording();
std::byte* allocate_pinned(int64_t bytes);
void release_pinned(std::byte* memory, int64_t bytes);
// The host side must be pinned and left alone until a later marker is reached.
void copy_bytes_async(void* destination, Device to, const void* source, Device from, int64_t bytes);
}  // namespace cuda

// For the layers above: ON_DEVICE belongs to the tensor layer, which alone is compiled for each
// backend.
std::unique_ptr<Recording> make_recording(Device device);

// Host memory that a device reads and writes while the host goes on.
class PinnedMemory {
 public:
  PinnedMemory(int64_t bytes, Device device);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  int64_t bytes_;
  Device device_;
};

// Brings tensors to a device through a ring of pinned slots. Waits only when all slots are on their
// way.
class Upload {
 public:
  explicit Upload(Device device);
  ~Upload();
  Upload(Upload&&) = default;
  Upload& operator=(Upload&&) = delete;
  // to = host (same shape and type), later in the device's work; `host` may change as soon as this
  // returns.
  void operator()(Tensor to, const Tensor& host);

 private:
  struct Slot {
    std::unique_ptr<PinnedMemory> memory;
    std::unique_ptr<Marker> copied;
  };
  Device device_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
};

// A tensor's elements on their way to the host.
class Download {
 public:
  explicit Download(const Tensor& source);
  ~Download();
  Download(Download&&) = default;
  Download& operator=(Download&&) = delete;
  bool arrived() const { return marker_->reached(); }
  // The elements; waits for them.
  template <class T> const T* data() const {
    marker_->wait();
    return reinterpret_cast<const T*>(memory_->data());
  }

 private:
  std::unique_ptr<PinnedMemory> memory_;
  std::unique_ptr<Marker> marker_;
};

}  // namespace passband
