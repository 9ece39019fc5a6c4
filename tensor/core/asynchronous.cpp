// Copies in flight, and what of it the CPU needs: nothing.
#include "tensor/core/asynchronous.h"

#include <cstring>

#include "tensor/core/memory.h"
#include "tensor/core/parallel.h"

namespace passband {

namespace cpu {
namespace {

struct Done : Marker {
  void record() override {}
  bool reached() const override { return true; }
  void wait() const override {}
  void wait_quietly() const noexcept override {}
};

struct Direct : Recording {
  void run(const std::function<void()>& work) override { work(); }
};

}  // namespace

std::unique_ptr<Marker> make_marker() { return std::make_unique<Done>(); }
std::unique_ptr<Recording> make_recording() { return std::make_unique<Direct>(); }
std::byte* allocate_pinned(int64_t bytes) { return new std::byte[static_cast<size_t>(bytes)]; }
void release_pinned(std::byte* memory, int64_t) { delete[] memory; }

void copy_bytes_async(void* destination, Device to, const void* source, Device from,
                      int64_t bytes) {
  copy_bytes(destination, to, source, from, bytes);
}

}  // namespace cpu

namespace {

constexpr size_t kSlots = 4;

int64_t transfer_bytes(const Tensor& tensor) { return tensor.numel() * size_of(tensor.dtype()); }

}  // namespace

std::unique_ptr<Recording> make_recording(Device device) {
  return ON_DEVICE(device, make_recording);
}

PinnedMemory::PinnedMemory(int64_t bytes, Device device)
    : data_(ON_DEVICE(device, allocate_pinned, bytes)), bytes_(bytes), device_(device) {}

PinnedMemory::~PinnedMemory() { ON_DEVICE(device_, release_pinned, data_, bytes_); }

Upload::Upload(Device device) : device_(device), slots_(kSlots) {
  for (Slot& slot : slots_) slot.copied = ON_DEVICE(device, make_marker);
}

// Pinned memory must not be given to anybody else while a copy is under way.
Upload::~Upload() {
  for (const Slot& slot : slots_) slot.copied->wait_quietly();
}

void Upload::operator()(Tensor to, const Tensor& host) {
  CHECK(to.shape() == host.shape() && to.dtype() == host.dtype() && to.device() == device_,
        "upload: ", to, " can not take ", host);
  Slot& slot = slots_[next_++ % kSlots];
  const int64_t bytes = transfer_bytes(host);
  slot.copied->wait();
  if (!slot.memory || slot.memory->bytes() < bytes)
    slot.memory = std::make_unique<PinnedMemory>(bytes, device_);
  constexpr int64_t kGrainBytes = int64_t{1} << 20;
  parallel_for(bytes, kGrainBytes, [&](int64_t begin, int64_t end) {
    std::memcpy(slot.memory->data() + begin, static_cast<const std::byte*>(host.raw()) + begin,
                static_cast<size_t>(end - begin));
  });
  ON_DEVICE(device_, copy_bytes_async, to.raw(), device_, slot.memory->data(), Device{}, bytes);
  slot.copied->record();
}

Download::Download(const Tensor& source)
    : memory_(std::make_unique<PinnedMemory>(transfer_bytes(source), source.device())),
      marker_(ON_DEVICE(source.device(), make_marker)) {
  const Device device = source.device();
  ON_DEVICE(device, copy_bytes_async, memory_->data(), Device{}, source.raw(), device,
            transfer_bytes(source));
  marker_->record();
}

Download::~Download() {
  if (marker_) marker_->wait_quietly();
}

}  // namespace passband
