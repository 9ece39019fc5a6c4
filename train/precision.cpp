// Which type activations have on a device.
#include "tensor/device_choice.h"
#include "train/config.h"

namespace passband {
namespace {

// Below this a step spends more on casting the weights than it gains in the products.
constexpr int64_t kLeastBatch = 16;

}  // namespace

DType compute_type(const RunSettings& settings, Device device) {
  if (settings.precision == "bf16") return DType::bf16;
  const bool gains = settings.batch_size >= kLeastBatch && multiplies_bf16(device);
  return settings.precision == "auto" && gains ? DType::bf16 : DType::f32;
}

}  // namespace passband
