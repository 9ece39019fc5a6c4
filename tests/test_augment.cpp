// Batches made from stored pictures as tensors (tensor/ops/training/make_batch.h), against the
// loader's and the trainer's own code; and what the host alone does to pictures.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "data/augment.h"
#include "data/loader.h"
#include "nn/mixing.h"
#include "tensor/ops/training/make_batch.h"
#include "tests/numeric.h"
#include "tests/test_data_support.h"

namespace passband {
namespace {

using numeric::max_difference;

constexpr int64_t kCount = 9;
constexpr RandomKey kKey{5, 7, 11}, kMixingKey{5, 7, 13};
const std::vector<int64_t> kIndices = {8, 0, 3, 3, 1, 7, 2};

Dataset random_pictures(int64_t height, int64_t width) {
  Dataset data{
      .name = "random", .split = "train", .count = kCount, .height = height, .width = width};
  data.mean = {0.4f, 0.5f, 0.6f};
  data.std = {0.2f, 0.25f, 0.3f};
  RandomSequence random({1, 2, 3});
  for (int64_t i = 0; i < kCount * height * width * 3; ++i)
    data.images.push_back(static_cast<uint8_t>(random.next()));
  return data;
}

// The loader's batch, mixed by the trainer.
std::vector<double> usual_batch(const Dataset& data, const AugmentOptions& options, int64_t size,
                                const MixingOptions& mixing) {
  Tensor images = Tensor::empty({static_cast<int64_t>(kIndices.size()), size, size, 3});
  make_train_batch(data, kIndices, options, kKey, size, images.data<float>());
  mix(images, draw_mixing(size, size, mixing, kMixingKey));
  return images.values();
}

std::vector<double> tensor_batch(const Dataset& data, const AugmentOptions& options, int64_t size,
                                 const MixingOptions& mixing) {
  const auto count = static_cast<int64_t>(kIndices.size());
  Tensor pictures = Tensor::empty({data.count, data.height, data.width, 3}, DType::u8);
  std::copy(data.images.begin(), data.images.end(), pictures.data<uint8_t>());
  const Tensor indices = Tensor::from(kIndices, {count}, DType::i32);
  Tensor batch = Tensor::empty({count, size, size, 3});
  make_batch(batch, pictures, indices, crop_options(data, options, size), {data.mean, data.std},
             kKey, draw_mixing(size, size, mixing, kMixingKey));
  return batch.values();
}

struct Case {
  int64_t height, width, size;
  AugmentOptions options;
};
const std::vector<Case> kCases = {
    {8, 8, 8, {.pad = 0, .flip = 0}},
    {8, 8, 8, {.pad = 3, .flip = 0.5f, .cutout = 4}},
    {9, 9, 9, {.pad = 4, .crop_mode = CropMode::reflect, .flip = 1}},
    {12, 11, 8, {.pad = 2, .flip = 0.5f, .cutout = 3}},
    {8, 8, 8, {.alternating_flip = true, .brightness = 0.3f, .contrast = 0.2f, .cutout = 3}},
};

TEST_CASE("batches of tensors are the loader's") {
  for (const Case& c : kCases) {
    const Dataset data = random_pictures(c.height, c.width);
    CHECK(max_difference(tensor_batch(data, c.options, c.size, {}),
                         usual_batch(data, c.options, c.size, {})) < 1e-6);
  }
}

TEST_CASE("batches of tensors are mixed as the trainer mixes") {
  for (const MixingOptions& mixing : {MixingOptions{.mixup = 0.8}, MixingOptions{.cutmix = 1.0}}) {
    for (const Case& c : kCases) {
      const Dataset data = random_pictures(c.height, c.width);
      const std::vector<double> mixed = tensor_batch(data, c.options, c.size, mixing);
      CHECK(max_difference(mixed, usual_batch(data, c.options, c.size, mixing)) < 1e-6);
      CHECK(max_difference(mixed, tensor_batch(data, c.options, c.size, {})) > 0.01);
    }
  }
}

TEST_CASE("centred batches of tensors are those of an evaluation") {
  for (const Case& c : kCases) {
    const Dataset data = random_pictures(c.height, c.width);
    const auto count = static_cast<int64_t>(kIndices.size());
    Tensor pictures = Tensor::empty({data.count, data.height, data.width, 3}, DType::u8);
    std::copy(data.images.begin(), data.images.end(), pictures.data<uint8_t>());
    const Tensor indices = Tensor::from(kIndices, {count}, DType::i32);
    Tensor batch = Tensor::empty({count, c.size, c.size, 3}), usual = Tensor::empty(batch.shape());
    const CropOptions crop{.height = c.height, .width = c.width, .size = c.size, .centred = true};
    make_batch(batch, pictures, indices, crop, {data.mean, data.std}, {});
    make_eval_batch(data, kIndices, c.size, usual.data<float>());
    CHECK(max_difference(batch.values(), usual.values()) < 1e-6);
  }
}

// --- batches of the host alone: operations, erasing, repeats ---

using testing::counting_dataset;

Dataset grey_dataset(int64_t count, int64_t side) {
  Dataset data = counting_dataset(count, side, side);
  RandomSequence random({4, 5, 6});
  for (uint8_t& value : data.images) value = static_cast<uint8_t>(random.next());
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.25f, 0.25f, 0.25f};
  return data;
}

std::vector<float> batch_of(const Dataset& data, const AugmentOptions& options,
                            const std::vector<int64_t>& indices, int threads = 1,
                            int64_t first = 0) {
  std::vector<float> out(indices.size() * data.image_bytes());
  make_train_batch(data, indices, options, {9, 1, 4}, data.height, out.data(), threads, first);
  return out;
}

// The erased places of a picture.
struct Erased {
  int64_t places = 0, box = 0;  // of them, and of the smallest rectangle around them
};
Erased erased_of(const float* before, const float* after, int64_t side) {
  Erased erased;
  int64_t top = side, left = side, bottom = -1, right = -1;
  for (int64_t i = 0; i < side * side; ++i) {
    if (std::equal(before + 3 * i, before + 3 * i + 3, after + 3 * i)) continue;
    for (int64_t c = 0; c < 3; ++c) CHECK(after[3 * i + c] == 0);
    ++erased.places;
    top = std::min(top, i / side), bottom = std::max(bottom, i / side);
    left = std::min(left, i % side), right = std::max(right, i % side);
  }
  if (erased.places > 0) erased.box = (bottom - top + 1) * (right - left + 1);
  return erased;
}

TEST_CASE("augmented batches are the same for any number of threads, and follow index and epoch") {
  const Dataset data = grey_dataset(7, 12);
  AugmentOptions options{
      .pad = 2, .auto_augment = "rand-m9-mstd0.5-inc1", .erase_probability = 0.5};
  options.erase_mode = EraseMode::pixel;
  std::vector<int64_t> indices(7);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  const std::vector<float> one = batch_of(data, options, indices, 1);
  CHECK(batch_of(data, options, indices, 5) == one);
  const std::vector<float> alone = batch_of(data, options, {4});
  CHECK(std::equal(alone.begin(), alone.end(), one.begin() + 4 * data.image_bytes()));
  std::vector<float> later(one.size());
  make_train_batch(data, indices, options, {9, 2, 4}, 12, later.data());
  CHECK(later != one);
  CHECK(made_on_host(options));
  CHECK_FALSE(made_on_host({.pad = 2, .cutout = 3}));
}

TEST_CASE("random erasing covers 2 to 33 % with one rectangle, or less with several") {
  const Dataset data = grey_dataset(400, 20);
  std::vector<int64_t> indices(400);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  AugmentOptions options{.pad = 0, .flip = 0};
  const std::vector<float> plain = batch_of(data, options, indices);
  for (const int64_t count : {1, 3}) {
    options.erase_probability = 0.25f;
    options.erase_count = count;
    const std::vector<float> erased = batch_of(data, options, indices);
    int pictures = 0;
    double sum = 0, least = 400, most = 0;
    for (int64_t i = 0; i < 400; ++i) {
      const Erased e = erased_of(&plain[i * 1200], &erased[i * 1200], 20);
      if (e.places == 0) continue;
      ++pictures;
      if (count == 1) CHECK(e.places == e.box);
      const auto places = static_cast<double>(e.places);
      sum += places, least = std::min(least, places), most = std::max(most, places);
    }
    CHECK(pictures == doctest::Approx(100).epsilon(0.25));
    // Uniform between the two: sides are rounded to whole pixels, and several may overlap.
    CHECK(most <= 400 * 0.36);
    CHECK(least >= (count == 1 ? 400 * 0.015 : 1));
    CHECK(sum / pictures / 400 <= 0.19);
    CHECK(sum / pictures / 400 >= (count == 1 ? 0.15 : 0.11));
  }
}

TEST_CASE("repeated augmentation shows fewer pictures, each in turn anew") {
  const Dataset data = grey_dataset(9, 12);
  BatchLoader loader(data, {.batch_size = 4,
                            .drop_last = true,
                            .augment = {.pad = 4, .auto_augment = "rand-m9", .repeats = 3},
                            .prefetch = false});
  CHECK(loader.batches_per_epoch() == 2);
  std::vector<int64_t> indices;
  std::vector<std::vector<float>> pictures;
  for (int i = 0; i < 2; ++i) {
    const Batch& batch = loader.next();
    indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
    const float* values = batch.images.data<float>();
    for (int64_t k = 0; k < 4; ++k) pictures.emplace_back(values + k * 432, values + (k + 1) * 432);
  }
  for (size_t i = 0; i < 8; ++i) CHECK(indices[i] == indices[i / 3 * 3]);
  CHECK(std::set<int64_t>(indices.begin(), indices.end()).size() == 3);
  CHECK(std::set(pictures.begin(), pictures.end()).size() == 8);
}

TEST_CASE("colour jitter keeps to its factors, and leaves where operations are drawn") {
  const Dataset data = grey_dataset(50, 8);
  std::vector<int64_t> indices(50);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  AugmentOptions options{.pad = 0, .flip = 0, .color_jitter = 0.4f};
  CHECK(batch_of(data, options, indices) != batch_of(data, {.pad = 0, .flip = 0}, indices));
  AugmentOptions with = options, without = {.pad = 0, .flip = 0};
  with.auto_augment = without.auto_augment = "rand-m5";
  CHECK(batch_of(data, with, indices) == batch_of(data, without, indices));
  with.auto_augment = without.auto_augment = "3a";
  CHECK(batch_of(data, with, indices) != batch_of(data, without, indices));
}

}  // namespace
}  // namespace passband
