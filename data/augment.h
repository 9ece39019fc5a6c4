// From stored 8-bit pictures to normalised float batches, augmented for training or plain.
//
// Every choice is a pure function of (key, picture index): the same for any batch order, batch size
// and thread count.
#pragma once
#include <cstdint>
#include <span>

#include "data/dataset.h"
#include "tensor/core/crop.h"
#include "tensor/core/random.h"

namespace passband {

enum class CropMode {
  zero,     // black pixels, as torchvision's RandomCrop pads before normalising
  reflect,  // mirror without repeating the edge pixel
};

struct AugmentOptions {
  int64_t pad = 4;  // pixels added on each side before a random crop to the stored size
  CropMode crop_mode = CropMode::zero;
  float flip = 0.5f;  // probability of a horizontal flip
  // Side of a square set to 0 after normalising, its centre uniform (DeVries and Taylor 2017).
  int64_t cutout = 0;
  // RandomResizedCrop (Szegedy et al. 2015) in torchvision's definition, in place of pad-crop: the
  // area of the crop relative to the picture is uniform, its width / height log-uniform.
  bool resized_crop = false;
  float scale_low = 0.08f, scale_high = 1.0f;
  float ratio_low = 3.0f / 4.0f, ratio_high = 4.0f / 3.0f;
};

// How these crop pictures of a data set to `size`, resized_crop apart.
CropOptions crop_options(const Dataset& dataset, const AugmentOptions& options, int64_t size);
// Throws UsageError when pictures of this size can not be augmented so.
void check_augmentation(const Dataset& dataset, const AugmentOptions& options, int64_t size);
// The key of the pictures of an epoch.
RandomKey augment_key(uint64_t seed, int64_t epoch);

// out: (indices.size(), image_size, image_size, 3) floats, (pixel / 255 - mean) / std.
// Stored pictures larger than image_size need no padding: they are cropped at a uniform position,
// or by resized_crop, which also takes smaller ones. Otherwise a stored picture smaller than
// image_size is an Error.
// threads = 0: thread_count().
void make_train_batch(const Dataset& dataset, std::span<const int64_t> indices,
                      const AugmentOptions& options, RandomKey key, int64_t image_size, float* out,
                      int threads = 0);

// The same without randomness: centre crop (stored size >= image_size), normalise.
void make_eval_batch(const Dataset& dataset, std::span<const int64_t> indices, int64_t image_size,
                     float* out, int threads = 0);

}  // namespace passband
