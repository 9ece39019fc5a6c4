// The settings of products and convolutions.
#include "tensor/ops/engine.h"

#include <atomic>

#include "tensor/core/device_choice.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

std::atomic<Engine> products = Engine::native, convolutions = Engine::native;
std::atomic<bool> tf32 = false;

}  // namespace

Engine engine_from(std::string_view name) {
  if (name == "native") return Engine::native;
  if (name == "library" || name == "cublas" || name == "cudnn") return Engine::library;
  if (name == "auto") return Engine::automatic;
  throw UsageError(concat_text("engine: ", name, " is none; there are native, library and auto"));
}

std::string_view name_of(Engine engine) {
  switch (engine) {
    case Engine::native: return "native";
    case Engine::library: return "library";
    case Engine::automatic: return "auto";
  }
  return "?";
}

Engine engine_here(Engine wanted) {
  return cuda_backend() == CudaBackend::native ? wanted : Engine::native;
}

Engine product_engine() { return products; }
void set_product_engine(Engine engine) { products = engine; }
Engine conv_engine() { return convolutions; }
void set_conv_engine(Engine engine) { convolutions = engine; }

bool tf32_allowed() { return tf32; }
void allow_tf32(bool on) { tf32 = on; }

}  // namespace passband
