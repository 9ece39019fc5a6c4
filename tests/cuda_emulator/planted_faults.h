// Broken kernels and misuses, each with what the emulator must say about it.
#pragma once
#include <string>
#include <vector>

namespace passband::testing {

// Found not by a rule but by running several schedules.
inline constexpr const char* kPoisoned = "memory never written reached the output";
inline constexpr const char* kOrderDependent = "the result depends on the schedule";
// Not seen by this build.
inline constexpr const char* kUnseen = "";

struct PlantedFault {
  const char* name;
  std::vector<float> (*run)();  // what the kernel has computed; may throw
  // Part of the message in each build.
  const char* plain;
  const char* checked;
  const char* address;  // AddressSanitizer
};

const std::vector<PlantedFault>& kernel_faults();  // planted_faults.cu
const std::vector<PlantedFault>& async_faults();   // planted_async_faults.cu
const std::vector<PlantedFault>& host_faults();    // planted_host_faults.cu
// Sound programs that look like the broken ones: nothing may be said about them.
const std::vector<PlantedFault>& controls();  // planted_controls.cu

}  // namespace passband::testing
