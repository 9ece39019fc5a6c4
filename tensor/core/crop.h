// The crop, flip, light and cut-out of a training picture: drawn from its key alone, by the same
// lines on the CPU and on a GPU.
#pragma once
#include <cstdint>

#include "tensor/core/random.h"

namespace passband {

// Of square crops with `pad` pixels added around the stored picture. Stored pictures larger than
// the crop need none.
struct CropOptions {
  int64_t height = 0, width = 0;  // as stored
  int64_t size = 0;               // side of the crop
  int64_t pad = 0;
  // the padding mirrors the picture, without repeating the edge pixel; black otherwise
  bool reflect = false;
  float flip = 0;  // probability of a horizontal flip
  // In place of the probability: every picture is mirrored in one of two epochs (key.step) and not
  // in the other, which of them a hash of its index says (Jordan 2024, arXiv 2404.00498,
  // section 3.6).
  bool alternating_flip = false;
  // Of normalised pixels, each drawn for a picture: (x + brightness) * contrast, from -brightness
  // to brightness and 1 - contrast to 1 + contrast (hiverge/cifar10-speedrun, 2025).
  float brightness = 0, contrast = 0;
  // side of a square that becomes 0; its centre is uniform, so it may stand out
  int64_t cutout = 0;
  bool centred = false;  // the crop in the middle, nothing is drawn: for evaluation
};

// What was drawn for one picture. Rows and columns may lie outside the stored picture.
struct Crop {
  bool flipped = false;
  int64_t top = 0, left = 0;  // of the crop, in stored pixels
  float gain = 1, shift = 0;  // of normalised pixels: x * gain + shift
  // of the square, in pixels of the crop; meaningless without cutout
  int64_t cut_top = 0, cut_left = 0;

  // Whether the square covers a pixel of the crop.
  PASSBAND_HD bool cuts(const CropOptions& options, int64_t y, int64_t x) const {
    return options.cutout > 0 && y >= cut_top && y < cut_top + options.cutout && x >= cut_left &&
           x < cut_left + options.cutout;
  }
};

// The stream of picture `index`: independent of batch order and batch size.
PASSBAND_HD inline RandomSequence picture_random(RandomKey key, int64_t index) {
  key.site ^= static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15ull;
  return RandomSequence(key);
}

// A second stream: options drawn from it leave flip and position as they are.
PASSBAND_HD inline RandomSequence more_picture_random(RandomKey key, int64_t index) {
  constexpr uint64_t kMore = site_of("augment.more");
  key.site ^= kMore;
  return picture_random(key, index);
}

// Takes one number of `random` whichever way it flips.
PASSBAND_HD inline bool draw_flip(const CropOptions& options, const RandomKey& key, int64_t index,
                                  RandomSequence& random) {
  const bool by_chance = random.uniform() < options.flip;
  if (!options.alternating_flip) return by_chance;
  constexpr uint64_t kFlip = site_of("augment.flip");
  const bool first = picture_random({key.seed, 0, kFlip}, index).uniform() < 0.5f;
  return first == (key.step % 2 == 0);
}

// From a stream of its own.
PASSBAND_HD inline void draw_light(Crop& crop, const CropOptions& options, RandomKey key,
                                   int64_t index) {
  if (options.brightness == 0 && options.contrast == 0) return;
  constexpr uint64_t kLight = site_of("augment.light");
  key.site ^= kLight;
  RandomSequence random = picture_random(key, index);
  const float brightness = options.brightness * (2 * random.uniform() - 1);
  crop.gain = 1 + options.contrast * (2 * random.uniform() - 1);
  crop.shift = brightness * crop.gain;
}

PASSBAND_HD inline void draw_cutout(Crop& crop, const CropOptions& options,
                                    RandomSequence& random) {
  crop.cut_top = random.below(options.size) - options.cutout / 2;
  crop.cut_left = random.below(options.size) - options.cutout / 2;
}

// Order of the draws: flip, row, column; light and cutout from streams of their own.
PASSBAND_HD inline Crop draw_crop(const CropOptions& options, const RandomKey& key, int64_t index) {
  if (options.centred)
    return {.top = (options.height - options.size) / 2, .left = (options.width - options.size) / 2};
  RandomSequence random = picture_random(key, index);
  const int64_t pad =
      options.height > options.size || options.width > options.size ? 0 : options.pad;
  Crop crop;
  crop.flipped = draw_flip(options, key, index, random);
  crop.top = random.below(options.height + 2 * pad - options.size + 1) - pad;
  crop.left = random.below(options.width + 2 * pad - options.size + 1) - pad;
  draw_light(crop, options, key, index);
  if (options.cutout > 0) {
    RandomSequence more = more_picture_random(key, index);
    draw_cutout(crop, options, more);
  }
  return crop;
}

// A position outside [0, extent) mirrored back inside; the edge itself is not repeated.
PASSBAND_HD inline int64_t mirrored(int64_t at, int64_t extent) {
  if (at < 0) at = -at;
  return at < extent ? at : 2 * extent - 2 - at;
}

}  // namespace passband
