// Batches made from stored pictures as tensors (tensor/ops/training/make_batch.h), against the
// loader's and the trainer's own code.
#include <doctest/doctest.h>

#include "data/augment.h"
#include "nn/mixing.h"
#include "tensor/ops/training/make_batch.h"
#include "tests/numeric.h"

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

}  // namespace
}  // namespace passband
