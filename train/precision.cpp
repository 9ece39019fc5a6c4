// Which type activations have on a device.
#include "tensor/device_choice.h"
#include "train/config.h"

namespace passband {
namespace {

// Below this a step spends more on casting the weights than it gains in the products.
constexpr int64_t kLeastBatch = 16;

}  // namespace

DType compute_type(const TrainConfig& config, Device device) {
  if (config.precision == "bf16") return DType::bf16;
  const bool gains = config.batch_size >= kLeastBatch && multiplies_bf16(device);
  return config.precision == "auto" && gains ? DType::bf16 : DType::f32;
}

}  // namespace passband
