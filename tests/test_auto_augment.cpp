// Augmentation of training pictures: operations against timm and torchvision on Pillow
// (golden/make_augment.py), policies by what they draw, erasing and repeats.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/auto_augment.h"
#include "data/auto_augment_policies.h"
#include "data/loader.h"
#include "models/weights.h"
#include "tensor/core/split_text.h"
#include "tests/golden_file.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;

namespace {

constexpr Colour kFill = {129, 124, 112};

using enum PictureOperation;

const std::map<std::string, PictureOperation> kByName = {
    {"AutoContrast", auto_contrast},
    {"Equalize", equalize},
    {"Invert", invert},
    {"Rotate", rotate},
    {"Posterize", posterize},
    {"PosterizeIncreasing", posterize_increasing},
    {"PosterizeOriginal", posterize_original},
    {"Solarize", solarize},
    {"SolarizeIncreasing", solarize_increasing},
    {"SolarizeAdd", solarize_add},
    {"Color", color},
    {"ColorIncreasing", color_increasing},
    {"Contrast", contrast},
    {"ContrastIncreasing", contrast_increasing},
    {"Brightness", brightness},
    {"BrightnessIncreasing", brightness_increasing},
    {"Sharpness", sharpness},
    {"SharpnessIncreasing", sharpness_increasing},
    {"ShearX", shear_x},
    {"ShearY", shear_y},
    {"TranslateX", translate_x},
    {"TranslateY", translate_y},
    {"TranslateXRel", translate_x_rel},
    {"TranslateYRel", translate_y_rel},
    {"Desaturate", desaturate},
    {"GaussianBlur", gaussian_blur}};

BytePicture picture_of(const Tensor& tensor) {
  const auto* begin = tensor.data<uint8_t>();
  return {tensor.size(0), tensor.size(1), {begin, begin + tensor.numel()}};
}

const std::map<std::string, Tensor>& golden() {
  static const auto tensors = read_safetensors(golden_file("augment.safetensors"));
  return tensors;
}

BytePicture golden_picture() { return picture_of(golden().at("picture")); }

// What TrivialAugment's `argument` is in the terms of apply().
double trivial_argument(const std::string& name, double argument) {
  if (name == "TranslateX" || name == "TranslateY") return -std::trunc(argument);
  if (name == "Brightness" || name == "Sharpness") return 1 + argument;
  return name == "Solarize" ? std::ceil(argument) : argument;
}

BytePicture result_of(const std::string& name) {
  const std::vector<std::string> parts = split_text(name, '|');
  BytePicture picture = golden_picture();
  if (parts[0] == "trivial") {
    apply(kByName.at(parts[1]), picture, trivial_argument(parts[1], std::stod(parts[2])),
          Sampling::nearest, {});
  } else {
    const PictureOperation operation = kByName.at(parts[0]);
    apply(operation, picture, argument_of(operation, std::stod(parts[1]), parts[2] == "-", 12),
          parts[3] == "bicubic" ? Sampling::bicubic : Sampling::bilinear, kFill);
  }
  return picture;
}

// How often, of `count` pictures, `policy` changed the picture to something else.
std::map<std::vector<uint8_t>, int> results(const std::string& policy, int count) {
  const AutoAugment augment(policy, {Sampling::bilinear}, kFill);
  std::map<std::vector<uint8_t>, int> seen;
  for (int i = 0; i < count; ++i) {
    BytePicture picture = golden_picture();
    RandomSequence random = picture_random({1, 2, 3}, i);
    augment(picture, random);
    ++seen[picture.pixels];
  }
  return seen;
}

std::vector<uint8_t> after(PictureOperation operation, double magnitude, bool negative = false) {
  BytePicture picture = golden_picture();
  apply(operation, picture, argument_of(operation, magnitude, negative, 12), Sampling::bilinear,
        kFill);
  return picture.pixels;
}

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

std::string refused(const std::string& policy) {
  return message_of<UsageError>([&] { AutoAugment(policy, {Sampling::bilinear}, kFill); });
}

}  // namespace

TEST_CASE("picture operations give timm's and torchvision's bytes") {
  int compared = 0;
  for (const auto& [name, tensor] : golden()) {
    if (name == "picture") continue;
    CAPTURE(name);
    CHECK(result_of(name).pixels == picture_of(tensor).pixels);
    ++compared;
  }
  CHECK(compared > 70);
}

TEST_CASE("operations at the magnitude that changes nothing change nothing") {
  const std::vector<uint8_t> plain = golden_picture().pixels;
  for (const PictureOperation operation :
       {rotate, shear_x, shear_y, translate_x_rel, translate_y_rel, color_increasing,
        contrast_increasing, brightness_increasing, sharpness_increasing})
    CHECK(after(operation, 0) == plain);
  CHECK(after(posterize_original, 10) == plain);
  CHECK(after(posterize, 0) == std::vector<uint8_t>(plain.size(), 0));
}

TEST_CASE("RandAugment draws its operations alike, with its probability, and both signs") {
  // p = 1, one operation: each of 15 for 1 / 15 of the pictures; at probability 0 none.
  constexpr int kCount = 6000;
  const auto seen = results("rand-m9-n1-p1", kCount);
  const auto share = [&](PictureOperation operation, bool negative = false) {
    const auto found = seen.find(after(operation, 9, negative));
    return found == seen.end() ? 0.0 : found->second / double{kCount};
  };
  for (const PictureOperation operation : {auto_contrast, equalize, invert, posterize, solarize,
                                           solarize_add, color, contrast, brightness, sharpness})
    CHECK(share(operation) == doctest::Approx(1.0 / 15).epsilon(0.2));
  for (const PictureOperation operation :
       {rotate, shear_x, shear_y, translate_x_rel, translate_y_rel})
    for (const bool negative : {false, true})
      CHECK(share(operation, negative) == doctest::Approx(1.0 / 30).epsilon(0.25));
  CHECK(results("rand-m9-n2-p0", 100).size() == 1);
  const auto half = results("rand-m9-n1", kCount);
  CHECK(half.at(golden_picture().pixels) / double{kCount} == doctest::Approx(0.5).epsilon(0.1));
}

TEST_CASE("the increasing operations, other sets, deviations and policies are drawn from") {
  const auto increasing = results("rand-m9-n1-p1-inc1", 2000);
  CHECK(increasing.contains(after(posterize_increasing, 9)));
  CHECK(increasing.contains(after(contrast_increasing, 9, true)));
  CHECK_FALSE(increasing.contains(after(posterize, 9)));
  const auto three = results("rand-m5-n1-p1-t3a", 300);
  CHECK(three.size() == 3);
  CHECK(three.contains(after(desaturate, 5)));
  // Weights: a rotation for 3 of 9.85 pictures, an inversion for 0.05.
  const auto weighted = results("rand-m9-n1-p1-tweights", 4000);
  const int rotations = weighted.at(after(rotate, 9)) + weighted.at(after(rotate, 9, true));
  CHECK(rotations / 4000.0 == doctest::Approx(3 / 10.3).epsilon(0.1));
  // A magnitude that is drawn makes many pictures of one operation.
  CHECK(results("rand-m9-n1-p1-mstd0.5", 300).size() > 150);
  CHECK(results("rand-m9-n1-p1-mstd101", 300).size() > 150);
  for (const char* policy : {"original", "originalr-mstd0.5", "v0", "v0r", "3a", "trivial"})
    CHECK(results(policy, 200).size() > (std::string(policy) == "3a" ? 2 : 25));
}

TEST_CASE("a weighted set gives no operation twice") {
  const AutoAugment all("rand-m10-n3-p1-t3aw", {Sampling::bilinear}, kFill);
  CHECK(refused("rand-n15-t3aw").find("must be from 1 to 14") != std::string::npos);
  CHECK(refused("rand-n14-w0").find("must be from 1 to 13") != std::string::npos);
  CHECK(refused("rand-n15").empty());
}

TEST_CASE("a policy that is none is refused by name") {
  CHECK(refused("rnd-m9").find("\"rnd-m9\" is not one of rand-m9-mstd0.5-inc1, trivial, 3a") !=
        std::string::npos);
  CHECK(refused("rand-m9-foo3").find("\"foo3\" of \"rand-m9-foo3\" is not one of m9") !=
        std::string::npos);
  CHECK(refused("rand-mx").find("is not a name and a number") != std::string::npos);
  CHECK(refused("rand-tnone").find("tnone") != std::string::npos);
  CHECK(refused("v0-m9").find("is not one of mstd0.5") != std::string::npos);
  CHECK(refused("rand-p2").find("p of \"rand-p2\" is 2; it must be from 0 to 1") !=
        std::string::npos);
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
    for (int64_t i = 0; i < 400; ++i) {
      int zeros = 0;
      for (int64_t k = i * 1200; k < (i + 1) * 1200; k += 3) {
        if (erased[k] == plain[k] && erased[k + 1] == plain[k + 1]) continue;
        CHECK(erased[k] == 0);
        CHECK(erased[k + 2] == 0);
        ++zeros;
      }
      pictures += zeros > 0;
      CHECK(zeros <= 400 * 0.36);
    }
    CHECK(pictures == doctest::Approx(100).epsilon(0.25));
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
