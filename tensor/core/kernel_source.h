// The source of the kernels that multiply and convolve, and how exactly they do: settings of the
// process. All but oneDNN is for GPUs; the CPU takes the rest for native.
#pragma once
#include <cstdint>
#include <string_view>

namespace passband {

enum class KernelSource : uint8_t {
  native,     // this project
  library,    // cuBLASLt for products, cuDNN for convolutions; this project where they have none
  automatic,  // both are timed when a shape comes for the first time; the faster is remembered
  onednn,     // oneDNN's convolutions on the CPU; a GPU takes it for native
};

// "native", "library" (also "cublas", "cudnn"), "auto" or "onednn"; throws UsageError for other
// names.
KernelSource kernel_source_from(std::string_view name);
std::string_view name_of(KernelSource source);

// At first: native, whose bits are the same in every run. With `automatic`, a close race may go the
// other way in the next run, and the last bits with it. Timing waits for the device; a graph that
// is being recorded can not wait, so in one a new shape gets the native kernels and is not
// remembered.
KernelSource product_kernels();
void set_product_kernels(KernelSource source);
KernelSource conv_kernels();
void set_conv_kernels(KernelSource source);

// Whether f32 products and convolutions may round their operands to tf32 (10 bits of mantissa) and
// use the tensor cores. At first: no.
bool tf32_allowed();
void allow_tf32(bool on);

}  // namespace passband
