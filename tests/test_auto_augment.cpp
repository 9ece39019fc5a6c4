// Augmentation of training pictures: operations, mixes of them and crops against timm and
// torchvision on Pillow (golden/make_augment.py), policies by what they draw.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/auto_augment.h"
#include "data/auto_augment_policies.h"
#include "data/dataset.h"
#include "models/weights.h"
#include "tensor/core/crop.h"
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
    {"GaussianBlur", gaussian_blur},
    {"GaussianBlurRand", gaussian_blur_random}};

BytePicture picture_of(const Tensor& tensor) {
  const auto* begin = tensor.data<uint8_t>();
  return {tensor.size(0), tensor.size(1), {begin, begin + tensor.numel()}};
}

struct GoldenAugment {
  Metadata tables;  // timm's
  std::map<std::string, Tensor> tensors;
};

const GoldenAugment& golden_augment() {
  static const GoldenAugment file = [] {
    GoldenAugment read;
    read.tensors = read_safetensors(golden_file("augment.safetensors"), &read.tables);
    return read;
  }();
  return file;
}

const std::map<std::string, Tensor>& golden() { return golden_augment().tensors; }

BytePicture golden_picture() { return picture_of(golden().at("picture")); }

// What TrivialAugment's `argument` is in the terms of apply().
double trivial_argument(const std::string& name, double argument) {
  if (name == "TranslateX" || name == "TranslateY") return -std::trunc(argument);
  if (name == "Brightness" || name == "Sharpness") return 1 + argument;
  return name == "Solarize" ? std::ceil(argument) : argument;
}

// "augmix|basic|0.5|0.4,0.6|Rotate:2:-,Equalize:0:+;Invert:0:+"
BytePicture mixed(const std::vector<std::string>& parts) {
  BytePicture picture = golden_picture();
  AugMixShares shares{.mix = std::stof(parts[2])};
  for (const std::string& share : split_text(parts[3], ','))
    shares.chains.push_back(std::stof(share));
  std::vector<BytePicture> chains;
  for (const std::string& steps : split_text(parts[4], ';')) {
    BytePicture& chain = chains.emplace_back(picture);
    for (const std::string& step : split_text(steps, ',')) {
      const std::vector<std::string> words = split_text(step, ':');
      const PictureOperation operation = kByName.at(words[0]);
      apply(
          operation, chain,
          argument_of(operation, std::stod(words[1]), words[2] == "-", 12, kMostTranslatedByAugMix),
          Sampling::bilinear, kFill);
    }
  }
  mix_chains(picture, chains, shares, parts[1] == "blended");
  return picture;
}

// "crop|2,3,7,9|16|bicubic"
BytePicture cropped(const std::vector<std::string>& parts) {
  const BytePicture picture = golden_picture();
  Dataset data{.count = 1, .height = picture.height, .width = picture.width};
  data.images = picture.pixels;
  const std::vector<std::string> box = split_text(parts[1], ',');
  const int64_t side = std::stol(parts[2]);
  BytePicture out{side, side, std::vector<uint8_t>(static_cast<size_t>(side * side * 3))};
  data.resize(
      0,
      [&](int64_t, int64_t) {
        return PictureWindow{std::stol(box[0]), std::stol(box[1]), std::stol(box[2]),
                             std::stol(box[3])};
      },
      out.pixels.data(), side,
      parts[3] == "bicubic" ? PictureFilter::bicubic : PictureFilter::bilinear);
  return out;
}

BytePicture result_of(const std::string& name) {
  const std::vector<std::string> parts = split_text(name, '|');
  if (parts[0] == "augmix") return mixed(parts);
  if (parts[0] == "crop") return cropped(parts);
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

// "Rotate:0.6:9": name, probability and magnitude.
AugmentationStep step_of(const std::string& text) {
  const std::vector<std::string> words = split_text(text, ':');
  return {kByName.at(words[0]), std::stod(words[1]), std::stod(words[2])};
}

// Each result that operations in this order can give, of those that go both ways for either sign.
using Pictures = std::set<std::vector<uint8_t>>;
Pictures results_of(const std::vector<AugmentationStep>& steps) {
  Pictures seen = {golden_picture().pixels};
  for (const AugmentationStep& step : steps) {
    Pictures next;
    if (step.probability < 1) next = seen;
    for (const std::vector<uint8_t>& before : seen)
      for (const bool negative : {false, true}) {
        if (step.probability == 0) continue;
        BytePicture picture = golden_picture();
        picture.pixels = before;
        apply(step.operation, picture, argument_of(step.operation, step.magnitude, negative, 12),
              Sampling::bilinear, kFill);
        next.insert(picture.pixels);
      }
    seen = next;
  }
  return seen;
}

void check_all_among(const std::map<std::vector<uint8_t>, int>& drawn, const Pictures& possible) {
  for (const auto& [pixels, count] : drawn) CHECK(possible.contains(pixels));
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
  CHECK(compared == 92);
}

TEST_CASE("policies and sets of operations are timm's tables") {
  int compared = 0;
  for (const auto& [name, text] : golden_augment().tables) {
    CAPTURE(name);
    if (name.starts_with("policy ")) {
      const AugmentationPolicy& policy = *augmentation_policy(name.substr(7));
      const std::vector<std::string> lines = split_text(text, ';');
      REQUIRE(policy.size() == lines.size());
      for (size_t i = 0; i < lines.size(); ++i) {
        const std::vector<std::string> steps = split_text(lines[i], ',');
        REQUIRE(policy[i].size() == steps.size());
        for (size_t k = 0; k < steps.size(); ++k) {
          const AugmentationStep wanted = step_of(steps[k]), got = policy[i][k];
          CHECK(got.operation == wanted.operation);
          CHECK(got.probability == wanted.probability);
          CHECK(got.magnitude == wanted.magnitude);
        }
      }
    } else if (name.starts_with("set ")) {
      const std::string suffix = name.substr(name.rfind('-') + 1);
      const OperationSet set = *rand_augment_set(
          suffix.starts_with('t') ? suffix.substr(1) : std::string(), suffix == "inc1");
      double sum = 0, wanted_sum = 0;
      std::map<PictureOperation, double> wanted, got;
      for (const std::string& entry : split_text(text, ',')) {
        const std::vector<std::string> words = split_text(entry, ':');
        wanted_sum += wanted[kByName.at(words[0])] = std::stod(words[1]);
      }
      for (const auto& [operation, weight] : set) sum += got[operation] = weight;
      REQUIRE(got.size() == wanted.size());
      for (const auto& [operation, weight] : wanted)
        CHECK(got[operation] / sum == doctest::Approx(weight / wanted_sum).epsilon(1e-4));
    } else if (name == "augmix") {
      std::vector<PictureOperation> wanted;
      for (const std::string& entry : split_text(text, ','))
        wanted.push_back(step_of(entry).operation);
      CHECK(augmix_operations() == wanted);
    }
    ++compared;
  }
  CHECK(compared == 11);
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
}

TEST_CASE("a policy gives what its lines give, and every line comes") {
  for (const std::string policy : {"original", "originalr", "v0", "v0r"}) {
    CAPTURE(policy);
    const std::map<std::vector<uint8_t>, int> drawn = results(policy, 2000);
    Pictures possible;
    for (const std::vector<AugmentationStep>& line : *augmentation_policy(policy)) {
      const Pictures of_line = results_of(line);
      possible.insert(of_line.begin(), of_line.end());
      CHECK(std::ranges::any_of(of_line, [&](const auto& p) { return drawn.contains(p); }));
    }
    check_all_among(drawn, possible);
  }
  CHECK(results("originalr-mstd0.5", 200).size() > results("originalr", 200).size() + 10);
  // Of 3a's three, two give one picture each, and a blur one of its radius.
  const auto three = results("3a", 300);
  CHECK(three.at(after(solarize, 5)) / 300.0 == doctest::Approx(1 / 3.0).epsilon(0.2));
  CHECK(three.at(after(desaturate, 10)) / 300.0 == doctest::Approx(1 / 3.0).epsilon(0.2));
  CHECK(three.size() > 50);
}

TEST_CASE("TrivialAugment draws one of 14 operations at one of 31 magnitudes") {
  constexpr int kCount = 6000;
  const auto drawn = results("trivial", kCount);
  CHECK(drawn.size() < 14 * 31 * 2);
  const auto share = [&](PictureOperation operation) {
    BytePicture picture = golden_picture();
    apply(operation, picture, 0, Sampling::nearest, {});
    return drawn.at(picture.pixels) / double{kCount};
  };
  // Those without a magnitude; of the others, the weakest gives the picture back.
  CHECK(share(equalize) == doctest::Approx(1 / 14.0).epsilon(0.15));
  CHECK(share(auto_contrast) == doctest::Approx(1 / 14.0).epsilon(0.15));
  CHECK(share(identity) > 1.2 / 14);
  CHECK(share(identity) < 3.0 / 14);
}

TEST_CASE("AugMix mixes chains of operations of all magnitudes up to its own") {
  const auto drawn = results("augmix-m5-w4-d2", 200);
  CHECK(drawn.size() > 190);  // every picture has shares of its own
  // With one chain of one operation of magnitude 0 the mix is the picture, but for three of them.
  const std::vector<uint8_t> plain = golden_picture().pixels;
  const Pictures ends = {plain, after(auto_contrast, 0), after(equalize, 0),
                         after(posterize_increasing, 0)};
  for (const auto& [mixed, count] : results("augmix-m0-w1-d1-mstd0", 200)) {
    const std::vector<uint8_t>& pixels = mixed;
    const bool between = std::ranges::any_of(ends, [&](const std::vector<uint8_t>& end) {
      for (size_t k = 0; k < pixels.size(); ++k)
        if (pixels[k] < std::min(end[k], plain[k]) || pixels[k] > std::max(end[k], plain[k]))
          return false;
      return true;
    });
    CHECK(between);
  }
  RandomSequence random({1, 2, 3});
  double mix = 0, first = 0, squares = 0;
  for (int i = 0; i < 4000; ++i) {
    const AugMixShares shares = draw_shares({.width = 4}, random);
    REQUIRE(shares.chains.size() == 4);
    CHECK(std::accumulate(shares.chains.begin(), shares.chains.end(), 0.0) ==
          doctest::Approx(1).epsilon(1e-5));
    mix += shares.mix / 4000.0;
    first += shares.chains[0] / 4000.0;
    squares += shares.chains[0] * shares.chains[0] / 4000.0;
  }
  CHECK(mix == doctest::Approx(0.5).epsilon(0.03));     // Beta(1, 1)
  CHECK(first == doctest::Approx(0.25).epsilon(0.04));  // Dirichlet(1, 1, 1, 1): E x^2 = 1 / 10
  CHECK(squares == doctest::Approx(0.1).epsilon(0.08));
  CHECK(refused("augmix-w0").find("w of \"augmix-w0\" is 0; it must be from 1 to 100") !=
        std::string::npos);
  CHECK(refused("augmix-x3").find("is not one of m5, w4, d2") != std::string::npos);
}

TEST_CASE("a weighted set gives no operation twice") {
  // Of two of the 14, each is another one: what two equal ones give is drawn by nobody.
  const OperationSet set = *rand_augment_set("3aw", false);
  Pictures different, equal;
  for (const auto& [first, weight] : set)
    for (const auto& [second, other] : set) {
      const Pictures both = results_of({{first, 1, 9}, {second, 1, 9}});
      (first == second ? equal : different).insert(both.begin(), both.end());
    }
  const auto drawn = results("rand-m9-n2-p1-t3aw", 1500);
  check_all_among(drawn, different);
  const auto twice =
      std::ranges::count_if(equal, [&](const auto& pixels) { return !different.contains(pixels); });
  CHECK(twice > 10);  // the test can tell
  CHECK(drawn.size() > 200);
  CHECK(refused("rand-n15-t3aw").find("must be from 1 to 14") != std::string::npos);
  CHECK(refused("rand-n14-w0").find("must be from 1 to 13") != std::string::npos);
  CHECK(refused("rand-n15").empty());
}

TEST_CASE("a policy that is none is refused by name") {
  CHECK(refused("rnd-m9").find("\"rnd-m9\" is not one of rand-m9-mstd0.5-inc1, trivial, augmix") !=
        std::string::npos);
  CHECK(refused("rand-m9-foo3").find("\"foo3\" of \"rand-m9-foo3\" is not one of m9") !=
        std::string::npos);
  CHECK(refused("rand-mx").find("is not a name and a number") != std::string::npos);
  CHECK(refused("rand-tnone").find("tnone") != std::string::npos);
  CHECK(refused("v0-m9").find("is not one of mstd0.5") != std::string::npos);
  CHECK(refused("rand-p2").find("p of \"rand-p2\" is 2; it must be from 0 to 1") !=
        std::string::npos);
}
