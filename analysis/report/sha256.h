// SHA-256, for the content security policy of a page that allows its own script and style and
// nothing else.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace passband {

// FIPS 180-4.
std::array<uint8_t, 32> sha256(std::string_view bytes);

}  // namespace passband
