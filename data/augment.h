// From stored 8-bit pictures to normalised float batches, augmented for training or plain.
//
// Every choice is a pure function of (key, picture index): the same for any batch order, batch size
// and thread count.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "tensor/core/crop.h"
#include "tensor/core/random.h"

namespace passband {

enum class CropMode {
  zero,     // black pixels, as torchvision's RandomCrop pads before normalising
  reflect,  // mirror without repeating the edge pixel
};

// How a picture is read between its pixels where resized_crop scales it, and where auto_augment
// shears, moves and turns it: by Pillow's filters; random: one of both is drawn each time.
// automatic: bilinear, crops by the program's own way (data/resize.h), which is faster where a file
// is decoded.
enum class TrainInterpolation : uint8_t { automatic, bilinear, bicubic, random };
// What random erasing puts in place of a rectangle: the mean of the data, one colour drawn for it,
// or one for each of its pixels (normal numbers, of normalised pixels).
enum class EraseMode : uint8_t { constant, rand, pixel };

struct AugmentOptions {
  int64_t pad = 4;  // pixels added on each side before a random crop to the stored size
  CropMode crop_mode = CropMode::zero;
  float flip = 0.5f;  // probability of a horizontal flip
  // Each picture once each way in two epochs instead; brightness and contrast of normalised pixels:
  // see CropOptions.
  bool alternating_flip = false;
  float brightness = 0, contrast = 0;
  // Side of a square set to 0 after normalising, its centre uniform (DeVries and Taylor 2017).
  int64_t cutout = 0;
  // RandomResizedCrop (Szegedy et al. 2015) in torchvision's definition, in place of pad-crop: the
  // area of the crop relative to the picture is uniform, its width / height log-uniform.
  bool resized_crop = false;
  float scale_low = 0.08f, scale_high = 1.0f;
  float ratio_low = 3.0f / 4.0f, ratio_high = 4.0f / 3.0f;
  TrainInterpolation interpolation = TrainInterpolation::automatic;
  // Operations drawn for the cropped picture: see data/auto_augment.h. Empty: none.
  std::string auto_augment = {};
  // torchvision's ColorJitter of brightness, contrast and saturation, each by a factor from 1 - j
  // to 1 + j, in an order that is drawn; not where there is auto_augment, as in timm, but for its
  // 3a.
  float color_jitter = 0;
  // Random erasing (Zhong et al., AAAI 2020) as timm has it: with this probability, one to so many
  // rectangles of 2 to 33 % of the picture together, their height / width from 0.3 to 1 / 0.3.
  float erase_probability = 0;
  EraseMode erase_mode = EraseMode::constant;
  int64_t erase_count = 1;
  // Repeated augmentation (Hoffer et al., CVPR 2020): every picture so many times in a row, each
  // time augmented anew; an epoch sees as many pictures as ever, so fewer different ones.
  int64_t repeats = 1;
};

// Whether batches need make_train_batch: those of crops, flips and cutout alone can be made where
// the pictures live (tensor/ops/training/make_batch.h).
bool made_on_host(const AugmentOptions& options);

// How these crop pictures of a data set to `size`, resized_crop apart.
CropOptions crop_options(const Dataset& dataset, const AugmentOptions& options, int64_t size);
// Throws UsageError when pictures of this size can not be augmented so.
void check_augmentation(const Dataset& dataset, const AugmentOptions& options, int64_t size);
// The key of the pictures of an epoch.
RandomKey augment_key(uint64_t seed, int64_t epoch);

// out: (indices.size(), image_size, image_size, 3) floats, (pixel / 255 - mean) / std.
// Stored pictures larger than image_size need no padding: they are cropped at a uniform position,
// or by resized_crop, which also takes smaller ones. Otherwise a stored picture smaller than
// image_size is an Error. `first`: how many pictures of the epoch came before these, which says
// how often each has been repeated. `contents`: the bytes of their files, where they have been read
// already; they are taken. threads = 0: thread_count().
void make_train_batch(const Dataset& dataset, std::span<const int64_t> indices,
                      const AugmentOptions& options, RandomKey key, int64_t image_size, float* out,
                      int threads = 0, int64_t first = 0,
                      std::span<std::vector<uint8_t>> contents = {});

// The same without randomness: centre crop (stored size >= image_size), normalise.
void make_eval_batch(const Dataset& dataset, std::span<const int64_t> indices, int64_t image_size,
                     float* out, int threads = 0);

}  // namespace passband
