// Which type activations have on this machine.
#include "train/config.h"

namespace passband {

DType compute_type(const TrainConfig& config) {
  if (config.precision == "f32") return DType::f32;
  if (config.precision == "bf16") return DType::bf16;
  return __builtin_cpu_supports("avx512bf16") ? DType::bf16 : DType::f32;
}

}  // namespace passband
