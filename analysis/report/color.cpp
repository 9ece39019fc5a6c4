// Palette and colour maps as short tables of stops.
#include "analysis/report/color.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace passband::plot {
namespace {

constexpr Rgb rgb(uint32_t hex_code) {
  return {static_cast<uint8_t>(hex_code >> 16), static_cast<uint8_t>(hex_code >> 8),
          static_cast<uint8_t>(hex_code)};
}

constexpr Rgb kViridis[] = {rgb(0x440154), rgb(0x482878), rgb(0x3e4989), rgb(0x31688e),
                            rgb(0x26828e), rgb(0x1f9e89), rgb(0x35b779), rgb(0x6ece58),
                            rgb(0xb5de2b), rgb(0xfde725)};
constexpr Rgb kMagma[] = {rgb(0x000004), rgb(0x180f3e), rgb(0x451077), rgb(0x721f81),
                          rgb(0x9f2f7f), rgb(0xcd4071), rgb(0xf1605d), rgb(0xfd9567),
                          rgb(0xfeca8d), rgb(0xfcfdbf)};
constexpr Rgb kDiverging[] = {rgb(0x053061), rgb(0x2166ac), rgb(0x4393c3), rgb(0x92c5de),
                              rgb(0xd1e5f0), rgb(0xf7f7f7), rgb(0xfddbc7), rgb(0xf4a582),
                              rgb(0xd6604d), rgb(0xb2182b), rgb(0x67001f)};
constexpr Rgb kTint[] = {rgb(0xffffff), kAccentLight};

std::span<const Rgb> stops_of(ColorMap map) {
  switch (map) {
    case ColorMap::viridis: return kViridis;
    case ColorMap::magma: return kMagma;
    case ColorMap::diverging: return kDiverging;
    case ColorMap::tint: return kTint;
  }
  return kViridis;
}

}  // namespace

const std::array<Rgb, kSeriesColors> kSeriesLight = {rgb(0x0072b2), rgb(0xd55e00), rgb(0x009e73),
                                                     rgb(0xb3508d), rgb(0xc98a00), rgb(0x3f9fd0),
                                                     rgb(0x555555)};
const std::array<Rgb, kSeriesColors> kSeriesDark = {rgb(0x5aaee8), rgb(0xf08a4b), rgb(0x3fc79d),
                                                    rgb(0xe39ac6), rgb(0xedb84a), rgb(0x9bd3f5),
                                                    rgb(0xb9b9b9)};

std::string hex(const Rgb& color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color.r, color.g, color.b);
}

Rgb color_of(ColorMap map, double t) {
  const auto stops = stops_of(map);
  const double position = std::clamp(t, 0.0, 1.0) * static_cast<double>(stops.size() - 1);
  const auto below = std::min(static_cast<size_t>(position), stops.size() - 2);
  const double share = position - static_cast<double>(below);
  const auto mix = [&](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + share * (b - a)));
  };
  const Rgb &a = stops[below], &b = stops[below + 1];
  return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

double luminance(const Rgb& color) {
  const auto linear = [](uint8_t channel) {
    const double c = channel / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

}  // namespace passband::plot
