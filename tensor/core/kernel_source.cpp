// The settings of products and convolutions.
#include "tensor/core/kernel_source.h"

#include <atomic>

#include "tensor/core/error.h"

namespace passband {
namespace {

std::atomic<KernelSource> products = KernelSource::native, convolutions = KernelSource::native;
std::atomic<bool> tf32 = false;

}  // namespace

KernelSource kernel_source_from(std::string_view name) {
  if (name == "native") return KernelSource::native;
  if (name == "library" || name == "cublas" || name == "cudnn") return KernelSource::library;
  if (name == "auto") return KernelSource::automatic;
  if (name == "onednn") return KernelSource::onednn;
  throw UsageError(
      concat_text("kernels: ", name, " is none; there are native, library, auto and onednn"));
}

std::string_view name_of(KernelSource source) {
  switch (source) {
    case KernelSource::native: return "native";
    case KernelSource::library: return "library";
    case KernelSource::automatic: return "auto";
    case KernelSource::onednn: return "onednn";
  }
  return "?";
}

KernelSource product_kernels() { return products; }
void set_product_kernels(KernelSource source) { products = source; }
KernelSource conv_kernels() { return convolutions; }
void set_conv_kernels(KernelSource source) { convolutions = source; }

bool tf32_allowed() { return tf32; }
void allow_tf32(bool on) { tf32 = on; }

}  // namespace passband
