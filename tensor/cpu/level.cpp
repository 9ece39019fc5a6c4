// Asks the processor, the system and PASSBAND_ISA for the level.
#include "tensor/cpu/level.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "tensor/core/error.h"
#include "tensor/core/text.h"
#include "tensor/cpu/level_code.h"

namespace passband::cpu {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"generic", "avx2", "avx512", "avx512_bf16",
                                                    "amx"};

#if defined(__x86_64__)

// Tiles and products of bf16 tiles (Intel's Software Developer's Manual, CPUID leaf 7), of which
// Linux enlarges a process's saved state only when asked.
bool has_tiles() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & kBf16) || !(d & kTile)) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Level detect() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (!avx2) return Level::generic;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd");
  if (!avx512) return Level::avx2;
  if (!__builtin_cpu_supports("avx512bf16")) return Level::avx512;
  return has_tiles() ? Level::amx : Level::avx512_bf16;
}

#else

Level detect() { return Level::generic; }

#endif

std::string_view wish() {
  const char* const value = std::getenv("PASSBAND_ISA");
  return value ? value : "";
}

std::string names_up_to(Level level) {
  return join(
      std::vector<std::string>{kNames.begin(), kNames.begin() + static_cast<int>(level) + 1});
}

}  // namespace

std::string_view name_of(Level level) { return kNames[static_cast<size_t>(level)]; }

Level highest_level() {
  static const Level highest =
      PASSBAND_LEVELS < 3 ? std::min(detect(), static_cast<Level>(PASSBAND_LEVELS - 1)) : detect();
  return highest;
}

Level choose_level(std::string_view wish, Level highest) {
  if (wish.empty()) return highest;
  const auto* const found = std::find(kNames.begin(), kNames.end(), wish);
  if (found == kNames.end())
    throw UsageError(concat_text("PASSBAND_ISA=", wish,
                                 " names no level of instructions: ", names_up_to(Level::amx),
                                 "; leave it out for the highest here, ", name_of(highest)));
  const auto level = static_cast<Level>(found - kNames.begin());
  if (level > highest)
    throw UsageError(concat_text("PASSBAND_ISA=", wish, ": this machine has no more than ",
                                 name_of(highest),
                                 "; leave it out, or take one of: ", names_up_to(highest)));
  return level;
}

Level level() {
  static const Level chosen = choose_level(wish(), highest_level());
  return chosen;
}

bool level_is_capped() { return level() != highest_level(); }

int compiled_level() {
  static const int index = std::min(static_cast<int>(level()), PASSBAND_LEVELS - 1);
  return index;
}

}  // namespace passband::cpu
