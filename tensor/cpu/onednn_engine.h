// oneDNN as an engine to compare with: whether this build has it (PASSBAND_ONEDNN in CMake).
// Without it, onednn_absent_cpu.cpp stands in for all that calls it.
#pragma once
#include <string>

namespace passband::cpu {

// "2.6.3"; empty: none.
std::string onednn_version();
// Whether oneDNN is there and multiplies bf16 on this CPU (AVX-512 or better).
bool onednn_has_bf16();

}  // namespace passband::cpu
