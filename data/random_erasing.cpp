#include "data/random_erasing.h"

#include <array>
#include <cmath>

namespace passband {
namespace {

constexpr float kLeastArea = 0.02f, kMostArea = 1.0f / 3;  // of the picture, all rectangles
constexpr float kLeastAspect = 0.3f;                       // height / width, and its inverse

std::array<float, 3> normal_colour(RandomSequence& random) {
  std::array<float, 3> colour{};
  for (float& value : colour) value = random.normal();
  return colour;
}

void fill(float* picture, int64_t size, const PictureWindow& window, EraseMode mode,
          RandomSequence& random) {
  std::array<float, 3> colour{};
  if (mode == EraseMode::rand) colour = normal_colour(random);
  for (int64_t y = window.top; y < window.top + window.height; ++y)
    for (int64_t x = window.left; x < window.left + window.width; ++x) {
      if (mode == EraseMode::pixel) colour = normal_colour(random);
      std::copy(colour.begin(), colour.end(), picture + (y * size + x) * 3);
    }
}

// Ten draws for a rectangle that fits.
void erase_one(float* picture, int64_t size, float share, EraseMode mode, RandomSequence& random) {
  const float most = std::log(1 / kLeastAspect);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const float area =
        random.uniform(kLeastArea, kMostArea) * share * static_cast<float>(size * size);
    const float aspect = std::exp(random.uniform(-most, most));
    const auto height = static_cast<int64_t>(std::nearbyint(std::sqrt(area * aspect)));
    const auto width = static_cast<int64_t>(std::nearbyint(std::sqrt(area / aspect)));
    if (height >= size || width >= size) continue;
    const int64_t top = random.below(size - height + 1), left = random.below(size - width + 1);
    return fill(picture, size, {top, left, height, width}, mode, random);
  }
}

}  // namespace

void erase_randomly(float* picture, int64_t size, const AugmentOptions& options, RandomKey key,
                    int64_t index) {
  if (options.erase_probability == 0) return;
  key.site ^= site_of("augment.erase");
  RandomSequence random = picture_random(key, index);
  if (random.uniform() >= options.erase_probability) return;
  const int64_t count = 1 + random.below(options.erase_count);
  for (int64_t i = 0; i < count; ++i)
    erase_one(picture, size, 1 / static_cast<float>(count), options.erase_mode, random);
}

}  // namespace passband
