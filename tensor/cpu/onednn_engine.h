// oneDNN as an engine to compare with: whether this build has it (PASSBAND_ONEDNN in CMake).
// Without it, onednn_absent_cpu.cpp stands in for all that calls it.
#pragma once
#include <string>

#include "tensor/core/kernel_source.h"
#include "tensor/cpu/level.h"

namespace passband::cpu {

// "2.6.3"; empty: none.
std::string onednn_version();
// Whether oneDNN is there and multiplies bf16 on this CPU (AVX-512 or better).
bool onednn_has_bf16();
// Whether it multiplies and convolves in bf16: where it is asked for, and on a matrix unit, which
// own bf16 products make no use of.
inline bool bf16_by_onednn() {
  return (conv_kernels() == KernelSource::onednn || level() == Level::amx) && onednn_has_bf16();
}

}  // namespace passband::cpu
