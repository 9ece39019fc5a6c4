// Batches from pictures: 8-bit pixels are cropped and flipped, then become floats in one pass.
#include "data/augment.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <optional>

#include "data/auto_augment.h"
#include "data/image.h"
#include "data/random_erasing.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/thread_pool.h"

namespace passband {
namespace {

// x' = (pixel / 255 - mean) / std as one multiply-add, spread over a row so that it vectorises
// across channels. Compiled twice, for any processor and for one with AVX2; without fused
// multiply-adds both round alike.
struct Normaliser {
  std::vector<float> scale, offset;  // (width * 3)

  Normaliser(const Dataset& dataset, int64_t width) : scale(width * 3), offset(width * 3) {
    for (int64_t i = 0; i < width * 3; ++i) {
      scale[i] = 1 / (255 * dataset.std[i % 3]);
      offset[i] = -dataset.mean[i % 3] / dataset.std[i % 3];
    }
  }

  void row(const uint8_t* in, float* out) const {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return row_with_avx2(in, out);
#endif
    make_row(in, out);
  }

 private:
  [[gnu::always_inline]] void make_row(const uint8_t* __restrict in, float* __restrict out) const {
    const auto n = static_cast<int64_t>(scale.size());
    const float *const factors = scale.data(), *const sums = offset.data();
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]) * factors[i] + sums[i];
  }
#if defined(__x86_64__)
  [[gnu::target("avx2")]] void row_with_avx2(const uint8_t* in, float* out) const {
    make_row(in, out);
  }
#endif
};

// Copies row `y` of the crop window, from column `left`, both possibly outside the picture.
void copy_row(const Dataset& dataset, const uint8_t* image, int64_t y, int64_t left, int64_t size,
              CropMode mode, uint8_t* out) {
  const bool zero = mode == CropMode::zero;
  if (zero && (y < 0 || y >= dataset.height)) {
    std::fill_n(out, size * 3, 0);
    return;
  }
  const uint8_t* row = image + (zero ? y : mirrored(y, dataset.height)) * dataset.width * 3;
  const int64_t begin = std::clamp<int64_t>(-left, 0, size);
  const int64_t end = std::clamp<int64_t>(dataset.width - left, 0, size);
  std::copy_n(row + (left + begin) * 3, (end - begin) * 3, out + begin * 3);
  const auto fill_border = [&](int64_t from, int64_t to) {
    for (int64_t x = from; x < to; ++x)
      for (int64_t c = 0; c < 3; ++c)
        out[x * 3 + c] = zero ? 0 : row[mirrored(left + x, dataset.width) * 3 + c];
  };
  fill_border(0, begin);
  fill_border(end, size);
}

// `own`: memory for a row and one byte more.
void flip_row(uint8_t* row, int64_t size, uint8_t* own) {
  std::copy_n(row, size * 3, own);
  for (int64_t x = 0; x + 1 < size; ++x)  // a fourth byte, which the next pixel covers
    std::memcpy(row + x * 3, own + (size - 1 - x) * 3, 4);
  std::copy_n(own, 3, row + (size - 1) * 3);
}

// torchvision's RandomResizedCrop: ten draws of area and ratio, then the largest central window of
// an allowed ratio.
PictureWindow resized_crop_window(int64_t height, int64_t width, const AugmentOptions& options,
                                  RandomSequence& random) {
  const auto area = static_cast<float>(height * width);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const float target = area * random.uniform(options.scale_low, options.scale_high);
    const float ratio =
        std::exp(random.uniform(std::log(options.ratio_low), std::log(options.ratio_high)));
    const auto w = static_cast<int64_t>(std::lround(std::sqrt(target * ratio)));
    const auto h = static_cast<int64_t>(std::lround(std::sqrt(target / ratio)));
    if (w >= 1 && h >= 1 && w <= width && h <= height)
      return {random.below(height - h + 1), random.below(width - w + 1), h, w};
  }
  const float ratio = static_cast<float>(width) / static_cast<float>(height);
  const float allowed = std::clamp(ratio, options.ratio_low, options.ratio_high);
  const int64_t w = std::min(width, std::lround(static_cast<float>(height) * allowed));
  const int64_t h = std::min(height, std::lround(static_cast<float>(width) / allowed));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

void cut_out(float* image, const Crop& crop, const CropOptions& options) {
  const int64_t size = options.size, side = options.cutout;
  const int64_t x0 = std::max<int64_t>(0, crop.cut_left), x1 = std::min(size, crop.cut_left + side);
  for (int64_t y = std::max<int64_t>(0, crop.cut_top); y < std::min(size, crop.cut_top + side); ++y)
    std::fill(image + (y * size + x0) * 3, image + (y * size + x1) * 3, 0.0f);
}

void light(const Crop& crop, float* image, int64_t values) {
  if (crop.gain == 1 && crop.shift == 0) return;
  for (int64_t i = 0; i < values; ++i) image[i] = image[i] * crop.gain + crop.shift;
}

Colour mean_colour(const Dataset& dataset) {
  Colour colour{};
  for (int c = 0; c < 3; ++c)
    colour[c] =
        static_cast<uint8_t>(std::clamp(std::nearbyint(255 * dataset.mean[c]), 0.0f, 255.0f));
  return colour;
}

std::vector<Sampling> samplings_of(TrainInterpolation interpolation) {
  if (interpolation == TrainInterpolation::bicubic) return {Sampling::bicubic};
  if (interpolation == TrainInterpolation::random) return {Sampling::bilinear, Sampling::bicubic};
  return {Sampling::bilinear};
}

PictureFilter filter_of(TrainInterpolation interpolation, RandomSequence& random) {
  switch (interpolation) {
    case TrainInterpolation::automatic: return PictureFilter::automatic;
    case TrainInterpolation::bilinear: return PictureFilter::bilinear;
    case TrainInterpolation::bicubic: return PictureFilter::bicubic;
    case TrainInterpolation::random:
      return random.below(2) == 0 ? PictureFilter::bilinear : PictureFilter::bicubic;
  }
  return PictureFilter::automatic;
}

bool jitters(const AugmentOptions& options) {
  const std::string& text = options.auto_augment;
  return options.color_jitter > 0 && (text.empty() || text.find("3a") != std::string::npos);
}

void jitter(BytePicture& picture, float most, RandomSequence& random) {
  using Adjustment = void (*)(BytePicture&, double);
  std::array<Adjustment, 3> order = {adjust_brightness, adjust_contrast, adjust_colour};
  for (int64_t i = 2; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (const Adjustment adjust : order)
    adjust(picture, random.uniform(std::max(0.0f, 1 - most), 1 + most));
}

struct Source {
  const Dataset& dataset;
  int64_t index;
  std::vector<uint8_t>* content;  // its file's bytes, or null
};

// A crop whose position and extent the second stream has drawn; the first gives the flip alone. Of
// files it is a crop of the whole picture, otherwise of what is stored.
Crop resized_crop(const Source& source, const AugmentOptions& options,
                  const CropOptions& crop_options, RandomKey key, uint8_t* out) {
  const int64_t index = source.index;
  Crop crop;
  RandomSequence random = picture_random(key, index);
  crop.flipped = draw_flip(crop_options, key, index, random);
  draw_light(crop, crop_options, key, index);
  RandomSequence more = more_picture_random(key, index);
  const auto window = [&](int64_t height, int64_t width) {
    return resized_crop_window(height, width, options, more);
  };
  const PictureFilter filter = filter_of(options.interpolation, more);
  source.dataset.resize(index, window, out, crop_options.size, filter, source.content);
  if (options.cutout > 0) draw_cutout(crop, crop_options, more);
  return crop;
}

// The crop of a picture that keeps its size.
Crop padded_crop(const Source& source, const AugmentOptions& options,
                 const CropOptions& crop_options, RandomKey key, uint8_t* out) {
  const Crop crop = draw_crop(crop_options, key, source.index);
  const PictureBytes stored = source.dataset.image(source.index, source.content);
  for (int64_t y = 0; y < crop_options.size; ++y)
    copy_row(source.dataset, stored.data(), crop.top + y, crop.left, crop_options.size,
             options.crop_mode, out + y * crop_options.size * 3);
  return crop;
}

// What is the same for all pictures of a batch.
struct BatchMaker {
  const Dataset& dataset;
  const AugmentOptions& options;
  int64_t size;
  Normaliser normaliser;
  CropOptions crops;
  std::optional<AutoAugment> operations;

  BatchMaker(const Dataset& dataset, const AugmentOptions& options, int64_t size)
      : dataset(dataset),
        options(options),
        size(size),
        normaliser(dataset, size),
        crops(crop_options(dataset, options, size)) {
    if (!options.auto_augment.empty())
      operations.emplace(options.auto_augment, samplings_of(options.interpolation),
                         mean_colour(dataset));
  }

  void change(BytePicture& picture, RandomKey key, int64_t index) const {
    key.site ^= site_of("augment.operations");
    RandomSequence random = picture_random(key, index);
    if (operations) (*operations)(picture, random);
    if (jitters(options)) jitter(picture, options.color_jitter, random);
  }

  void operator()(int64_t index, const RandomKey& key, float* out,
                  std::vector<uint8_t>* content) const {
    BytePicture picture{size, size, std::vector<uint8_t>(static_cast<size_t>(size * size * 3))};
    const auto cropped = options.resized_crop ? resized_crop : padded_crop;
    const Crop crop =
        cropped({dataset, index, content}, options, crops, key, picture.pixels.data());
    std::vector<uint8_t> row(static_cast<size_t>(size * 3 + 1));
    for (int64_t y = 0; crop.flipped && y < size; ++y)
      flip_row(&picture.pixels[y * size * 3], size, row.data());
    change(picture, key, index);
    for (int64_t y = 0; y < size; ++y)
      normaliser.row(&picture.pixels[y * size * 3], out + y * size * 3);
    light(crop, out, size * size * 3);
    if (options.cutout > 0) cut_out(out, crop, crops);
    erase_randomly(out, size, options, key, index);
  }
};

// Every repeat of a picture has draws of its own; the first has those of a picture that comes once.
RandomKey repeat_key(RandomKey key, int64_t repeat) {
  if (repeat > 0) key.site ^= site_of("augment.repeat") + static_cast<uint64_t>(repeat);
  return key;
}

// Calls f(i) for all i < count on `threads` threads (0: thread_count()), each of which takes one
// picture at a time: those of a folder differ in size.
void for_each_picture(int64_t count, int threads, const auto& f) {
  std::atomic<int64_t> next{0};
  auto take = [&] {
    for (int64_t i = next++; i < count; i = next++) f(i);
  };
  const int64_t most = threads > 0 ? threads : thread_count();
  on_threads(static_cast<int>(std::min(most, count)),
             {[](void* taken) { (*static_cast<decltype(take)*>(taken))(); }, &take});
}

void check(bool condition, const auto&... message) {
  if (!condition) throw UsageError(concat_text("augmentation: ", message...));
}

// All but the policy, which whoever makes pictures reads.
void check_numbers(const Dataset& dataset, const AugmentOptions& o, int64_t size) {
  check(o.flip >= 0 && o.flip <= 1, "flip is ", o.flip, "; it must be a probability, 0 to 1");
  check(!o.alternating_flip || o.repeats == 1,
        "alternating flip shows every picture once an "
        "epoch; it goes with no repeats, there are ",
        o.repeats);
  check(o.brightness >= 0 && o.contrast >= 0 && o.contrast <= 1, "brightness is ", o.brightness,
        " and contrast ", o.contrast, "; they must be 0 or more, contrast at most 1");
  check(o.color_jitter >= 0, "color jitter is ", o.color_jitter, "; it must not be negative");
  check(o.erase_probability >= 0 && o.erase_probability <= 1, "the probability of erasing is ",
        o.erase_probability, "; it must be 0 to 1");
  check(o.erase_count >= 1 && o.repeats >= 1, "rectangles and repeats must be 1 or more");
  check(o.cutout >= 0, "cutout is ", o.cutout, "; it must be a side in pixels");
  if (o.resized_crop) {
    check(o.scale_low > 0 && o.scale_low <= o.scale_high && o.scale_high <= 1, "crop areas are ",
          o.scale_low, " to ", o.scale_high, "; they must rise within 0 to 1");
    check(o.ratio_low > 0 && o.ratio_low <= o.ratio_high, "crop ratios are ", o.ratio_low, " to ",
          o.ratio_high, "; they must rise and be positive");
    return;
  }
  const int64_t side = std::min(dataset.height, dataset.width);
  check(side >= size, "pictures of ", side, " pixels are too small for a crop of ", size,
        "; load them larger");
  check(o.pad >= 0 && o.pad < side, "pad is ", o.pad, "; it must be 0 to ", side - 1);
}

void check_indices(const Dataset& dataset, std::span<const int64_t> indices) {
  for (const int64_t index : indices)
    CHECK(index >= 0 && index < dataset.count, "batch: picture ", index, " is not in ",
          dataset.name, " (", dataset.split, ") of ", dataset.count);
}

}  // namespace

CropOptions crop_options(const Dataset& dataset, const AugmentOptions& options, int64_t size) {
  return {.height = dataset.height,
          .width = dataset.width,
          .size = size,
          .pad = options.pad,
          .reflect = options.crop_mode == CropMode::reflect,
          .flip = options.flip,
          .alternating_flip = options.alternating_flip,
          .brightness = options.brightness,
          .contrast = options.contrast,
          .cutout = options.cutout};
}

bool made_on_host(const AugmentOptions& o) {
  return o.resized_crop || !o.auto_augment.empty() || o.color_jitter > 0 ||
         o.erase_probability > 0 || o.repeats > 1;
}

void check_augmentation(const Dataset& dataset, const AugmentOptions& o, int64_t size) {
  check_numbers(dataset, o, size);
  if (!o.auto_augment.empty()) AutoAugment(o.auto_augment, {Sampling::bilinear}, {});
}

RandomKey augment_key(uint64_t seed, int64_t epoch) {
  return {seed, static_cast<uint64_t>(epoch), site_of("loader.augment")};
}

void make_train_batch(const Dataset& dataset, std::span<const int64_t> indices,
                      const AugmentOptions& options, RandomKey key, int64_t image_size, float* out,
                      int threads, int64_t first, std::span<std::vector<uint8_t>> contents) {
  check_numbers(dataset, options, image_size);
  check_indices(dataset, indices);
  const BatchMaker make(dataset, options, image_size);
  const auto count = static_cast<int64_t>(indices.size());
  const int64_t values = image_size * image_size * 3;
  for_each_picture(count, threads, [&](int64_t i) {
    make(indices[i], repeat_key(key, (first + i) % options.repeats), out + i * values,
         contents.empty() ? nullptr : &contents[static_cast<size_t>(i)]);
  });
}

void make_eval_batch(const Dataset& dataset, std::span<const int64_t> indices, int64_t image_size,
                     float* out, int threads) {
  check(std::min(dataset.height, dataset.width) >= image_size, "pictures of ", dataset.height,
        " x ", dataset.width, " pixels are too small for a crop of ", image_size,
        "; load them larger");
  check_indices(dataset, indices);
  const Normaliser normaliser(dataset, image_size);
  const int64_t top = (dataset.height - image_size) / 2, left = (dataset.width - image_size) / 2;
  const auto count = static_cast<int64_t>(indices.size());
  for_each_picture(count, threads, [&](int64_t i) {
    const PictureBytes stored = dataset.image(indices[i]);
    for (int64_t y = 0; y < image_size; ++y)
      normaliser.row(stored.data() + ((top + y) * dataset.width + left) * 3,
                     out + (i * image_size + y) * image_size * 3);
  });
}

}  // namespace passband
