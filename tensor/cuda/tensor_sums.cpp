// Sums on a stream beside the compute stream: forked from it by an event, joined by another.
#include "tensor/core/tensor_sums.h"

#include <memory>
#include <stdexcept>

#include "tensor/cuda/device_sums.h"
#include "tensor/cuda/stream.h"

namespace passband::cuda {
namespace {

struct Joined {
  std::unique_ptr<DeviceSums> sums;
  Stream stream;
  Event given, arrived;  // the values to add up, the sums
  bool under_way = false;
};

// Never destroyed: at the end of the program the driver may be gone.
Joined*& joined() {
  static Joined* instance = nullptr;
  return instance;
}

std::string trouble_of_device() { return joined() ? joined()->sums->trouble() : std::string(); }

}  // namespace

void join_devices() {
  if (joined()) return;
  std::string why;
  const DeviceSumsModule* const module = device_sums_module(why);
  if (!module)
    throw UsageError(concat_text("device: ", process_count(),
                                 " processes on GPUs add up their gradients by NCCL, and ", why,
                                 "; or add --device cpu"));
  try {
    std::string id(kDeviceSumsIdBytes, '\0');
    if (process_rank() == 0) module->make_id(id.data());
    broadcast(id.data(), kDeviceSumsIdBytes);
    auto made = std::make_unique<Joined>();
    made->sums.reset(module->join(id.data(), process_rank(), process_count()));
    joined() = made.release();
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw UsageError(concat_text("device: the GPUs of ", process_count(),
                                 " processes do not reach each other: ", error.what()));
  }
  watch_for_trouble(trouble_of_device);
}

void abandon_sums() {
  if (joined()) joined()->sums->abandon();
  watch_for_trouble({});
}

void begin_device_sum(const Tensor& values) {
  CHECK(joined(), "sum over processes: the devices were not joined");
  Joined& j = *joined();
  j.given.record(compute_stream());
  j.stream.wait(j.given);
  Tensor memory = values;
  try {
    if (values.dtype() == DType::f64)
      j.sums->sum(static_cast<double*>(memory.raw()), values.numel(), j.stream.handle());
    else j.sums->sum(static_cast<float*>(memory.raw()), values.numel(), j.stream.handle());
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw ProcessLost(
        concat_text(process_name(process_rank()), " can not add up on its GPU: ", error.what()));
  }
  j.under_way = true;
}

void finish_device_sums() {
  if (!joined() || !joined()->under_way) return;
  Joined& j = *joined();
  j.arrived.record(j.stream);
  compute_stream_waits(j.arrived);
  j.under_way = false;
}

}  // namespace passband::cuda
