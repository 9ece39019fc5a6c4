// The table of corruptions, single pictures and batches.
#include "data/corruptions.h"

#include <algorithm>
#include <cmath>

#include "data/corruption_recipes.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"

namespace passband {
namespace {

struct Recipe {
  std::string_view name;
  CorruptionGroup group;
  void (*apply)(CorruptionJob&);
};

constexpr std::array<Recipe, kCorruptions> kRecipes = {{
    {"gaussian_noise", CorruptionGroup::noise, gaussian_noise},
    {"shot_noise", CorruptionGroup::noise, shot_noise},
    {"impulse_noise", CorruptionGroup::noise, impulse_noise},
    {"defocus_blur", CorruptionGroup::blur, defocus_blur},
    {"glass_blur", CorruptionGroup::blur, glass_blur},
    {"motion_blur", CorruptionGroup::blur, motion_blur},
    {"zoom_blur", CorruptionGroup::blur, zoom_blur},
    {"snow", CorruptionGroup::weather, snow},
    {"frost", CorruptionGroup::weather, frost},
    {"fog", CorruptionGroup::weather, fog},
    {"brightness", CorruptionGroup::weather, brightness},
    {"contrast", CorruptionGroup::digital, contrast},
    {"elastic_transform", CorruptionGroup::digital, elastic_transform},
    {"pixelate", CorruptionGroup::digital, pixelate},
    {"jpeg_compression", CorruptionGroup::digital, jpeg_compression},
    {"speckle_noise", CorruptionGroup::noise, speckle_noise},
    {"gaussian_blur", CorruptionGroup::blur, gaussian_blur},
    {"spatter", CorruptionGroup::weather, spatter},
    {"saturate", CorruptionGroup::digital, saturate},
}};

const Recipe& recipe_of(Corruption kind) { return kRecipes[static_cast<size_t>(kind)]; }

constexpr int64_t kMostSmall = 64;  // pixels up to which pictures count as CIFAR's

Raster with_bytes(const Raster& in, double half) {
  Raster out = in;
  for (double& v : out.values) v = std::floor(v * 255 + half);
  return out;
}

// The centre square of a stored picture.
void crop(const Dataset& dataset, int64_t index, int64_t side, uint8_t* out) {
  const int64_t top = (dataset.height - side) / 2, left = (dataset.width - side) / 2;
  const PictureBytes stored = dataset.image(index);
  for (int64_t y = 0; y < side; ++y)
    std::copy_n(stored.data() + ((top + y) * dataset.width + left) * 3, side * 3,
                out + y * side * 3);
}

}  // namespace

Raster truncated_to_bytes(const Raster& in) { return with_bytes(in, 0); }
Raster rounded_to_bytes(const Raster& in) { return with_bytes(in, 0.5); }

std::string_view name_of(Corruption kind) { return recipe_of(kind).name; }
CorruptionGroup group_of(Corruption kind) { return recipe_of(kind).group; }

std::string_view name_of(CorruptionGroup group) {
  switch (group) {
    case CorruptionGroup::noise: return "noise";
    case CorruptionGroup::blur: return "blur";
    case CorruptionGroup::weather: return "weather";
    case CorruptionGroup::digital: return "digital";
  }
  return "?";
}

void corrupt(Corruption kind, int severity, const uint8_t* in, int64_t side, uint64_t seed,
             int64_t index, uint8_t* out) {
  CHECK(severity >= 1 && severity <= kSeverities, "corruption: severity ", severity,
        " is outside 1 to 5");
  CHECK(side >= 16, "corruption: pictures of ", side, " pixels are too small; 16 at least");
  const RandomKey key{seed,
                      static_cast<uint64_t>(index) * kSeverities + static_cast<uint64_t>(severity),
                      site_of(name_of(kind))};
  CorruptionJob job{Raster(side, side), severity, side <= kMostSmall, RandomSequence(key)};
  for (size_t i = 0; i < job.x.values.size(); ++i) job.x.values[i] = in[i] / 255.0;
  recipe_of(kind).apply(job);
  // Cut off below the point like the published files, but for what rounding left just below a whole
  // number.
  for (size_t i = 0; i < job.x.values.size(); ++i)
    out[i] = static_cast<uint8_t>(std::clamp(job.x.values[i], 0.0, 1.0) * 255 + 1e-6);
}

void make_corrupted_batch(const Dataset& dataset, std::span<const int64_t> indices,
                          int64_t image_size, Corruption kind, int severity, uint64_t seed,
                          float* out) {
  CHECK(image_size <= std::min(dataset.height, dataset.width), "corruption: ", dataset.name,
        " holds pictures of ", dataset.height, " x ", dataset.width, ", smaller than ", image_size);
  const int64_t values = image_size * image_size * 3, n = std::ssize(indices);
  CHECK(severity >= 1 && severity <= kSeverities && image_size >= 16, "corruption: severity ",
        severity, " is outside 1 to 5 or pictures of ", image_size, " pixels are too small");
  for_each_index(n, [&](int64_t i) {
    std::vector<uint8_t> clean(static_cast<size_t>(values)), broken(static_cast<size_t>(values));
    const int64_t index = indices[static_cast<size_t>(i)];
    crop(dataset, index, image_size, clean.data());
    corrupt(kind, severity, clean.data(), image_size, seed, index, broken.data());
    for (int64_t k = 0; k < values; ++k) {
      const auto c = static_cast<size_t>(k % 3);
      out[i * values + k] =
          (static_cast<float>(broken[static_cast<size_t>(k)]) / 255 - dataset.mean[c]) /
          dataset.std[c];
    }
  });
}

}  // namespace passband
