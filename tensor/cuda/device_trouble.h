// Why there is no device to compute on.
#pragma once
#include <string>

namespace passband::cuda {

// What the driver answers when asked for devices, such as "CUDA driver version is insufficient for
// CUDA runtime version"; empty where it shows some.
std::string device_trouble();

}  // namespace passband::cuda
