#include "tensor/cpu/matrix_unit.h"

#include <cstdlib>
#include <string_view>

#ifdef PASSBAND_MATRIX_UNIT
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace passband::cpu::matrix_unit {

#ifdef PASSBAND_MATRIX_UNIT

namespace {

// What LDTILECFG reads (Intel's Software Developer's Manual, volume 1, section 18.3).
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Linux enlarges a process's saved state by the tiles only when asked.
bool request() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool wanted() {
  const char* value = std::getenv("PASSBAND_MATRIX_UNIT");
  return !value || std::string_view(value) != "0";
}

}  // namespace

bool available() {
  static const bool yes = wanted() && request();
  return yes;
}

Tiles::Tiles() {
  static constexpr Configuration configuration;
  asm volatile("ldtilecfg %0" : : "m"(configuration));
}

Tiles::~Tiles() { asm volatile("tilerelease"); }

#else

bool available() { return false; }
Tiles::Tiles() = default;
Tiles::~Tiles() = default;

#endif

}  // namespace passband::cpu::matrix_unit
