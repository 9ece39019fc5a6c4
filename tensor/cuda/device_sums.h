// Where a program finds what adds up over the processes' devices.
#pragma once
#include "tensor/core/device_sums.h"

namespace passband::cuda {

// On GPUs the module of NCCL, as nccl_module; of emulated devices what stands in for it.
const DeviceSumsModule* device_sums_module(std::string& why);

}  // namespace passband::cuda
