// Whose code multiplies and convolves on a GPU, and how exactly. Settings of the process; the CPU
// ignores them.
#pragma once
#include <cstdint>
#include <string_view>

namespace passband {

enum class Engine : uint8_t {
  native,   // the kernels of this project
  library,  // cuBLASLt for products, cuDNN for convolutions; the project's own where they have none
  automatic,  // both are timed when a shape comes for the first time, and the faster is remembered
};

// "native", "library" (also "cublas", "cudnn") or "auto"; throws UsageError for other names.
Engine engine_from(std::string_view name);
std::string_view name_of(Engine engine);

// At first: native, whose bits are the same in every run. With `automatic`, a close race may go the
// other way in the next run, and the last bits with it. Timing waits for the device; a graph that
// is being recorded can not wait, so in one a new shape gets the native engine and is not
// remembered.
Engine product_engine();
void set_product_engine(Engine engine);
Engine conv_engine();
void set_conv_engine(Engine engine);

// `wanted` on a GPU; native on the emulator, where plain loops stand in for the vendor's libraries.
Engine engine_here(Engine wanted);

// Whether f32 products and convolutions may round their operands to tf32 (10 bits of mantissa) and
// use the tensor cores. At first: no.
bool tf32_allowed();
void allow_tf32(bool on);

}  // namespace passband
