#include "tensor/cpu/matrix_unit.h"

#include "tensor/cpu/level.h"

namespace passband::cpu::matrix_unit {

bool available() { return level() == Level::amx; }

#if defined(__x86_64__)

namespace {

// What LDTILECFG reads (Intel's Software Developer's Manual, volume 1, section 18.3).
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

Tiles::Tiles() {
  static constexpr Configuration configuration;
  asm volatile("ldtilecfg %0" : : "m"(configuration));
}

Tiles::~Tiles() { asm volatile("tilerelease"); }

#else

Tiles::Tiles() = default;
Tiles::~Tiles() = default;

#endif

}  // namespace passband::cpu::matrix_unit
