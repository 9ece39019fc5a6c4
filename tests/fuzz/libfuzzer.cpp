// The entry point of libFuzzer, for the target PASSBAND_FUZZ_TARGET.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  passband::fuzz::PASSBAND_FUZZ_TARGET({reinterpret_cast<const char*>(bytes), count});
  return 0;
}
