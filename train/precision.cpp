// Which type activations have on a device.
#include "tensor/core/device_choice.h"
#include "train/config.h"

namespace passband {

DType compute_type(const TrainConfig& config, Device device) {
  if (config.precision == "bf16") return DType::bf16;
  return config.precision == "auto" && multiplies_bf16(device) ? DType::bf16 : DType::f32;
}

}  // namespace passband
