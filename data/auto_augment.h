// AutoAugment: operations on a training picture that are drawn for it: RandAugment (Cubuk et al.,
// 2020), AutoAugment (Cubuk et al., CVPR 2019), 3-Augment (Touvron et al., 2022) and AugMix
// (data/augmix.h) as timm has them, TrivialAugment (Mueller and Hutter, ICCV 2021) as torchvision.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/augmix.h"
#include "data/picture_operations.h"
#include "tensor/core/random.h"

namespace passband {

// timm's operations. An "increasing" one acts more strongly at larger magnitudes; without the word,
// posterising and solarising act less, and an enhancement's factor goes from 0.1 to 1.9.
enum class PictureOperation : uint8_t {
  identity,
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  posterize_increasing,
  posterize_original,
  solarize,
  solarize_increasing,
  solarize_add,
  color,
  color_increasing,
  contrast,
  contrast_increasing,
  brightness,
  brightness_increasing,
  sharpness,
  sharpness_increasing,
  shear_x,
  shear_y,
  translate_x,  // by a share of 0.45 of the side, rounded down to whole pixels first
  translate_y,
  translate_x_rel,  // by a share of the width
  translate_y_rel,
  desaturate,
  gaussian_blur,
  gaussian_blur_random,  // of a radius drawn from 0.1 to twice its argument
};
constexpr double kMostTranslated = 0.45, kMostTranslatedByAugMix = 0.3;  // of a side
// The argument of an operation at a magnitude from 0 to 10: degrees, a factor, a share, pixels,
// bits, a threshold. `negative`: of those that go both ways. `side`: of the picture, in pixels.
// `translated`: the share of a side at magnitude 10.
double argument_of(PictureOperation operation, double magnitude, bool negative, int64_t side,
                   double translated = kMostTranslated);
void apply(PictureOperation operation, BytePicture& picture, double argument, Sampling sampling,
           const Colour& fill);

struct AugmentationStep {
  PictureOperation operation = PictureOperation::identity;
  double probability = 1, magnitude = 10;
};
using AugmentationPolicy = std::vector<std::vector<AugmentationStep>>;

// What is drawn for one picture:
//   rand-m9-n2-mstd0.5-inc1   RandAugment: n of the 15 operations (2), each applied with
//   probability
//                             p (0.5) at magnitude m (10) with a normal deviation mstd (0; above
//                             100: uniform up to m), cut at mmax (10); inc1: the increasing ones;
//                             w0, tweights, t3a, t3aw: weighted or other sets of operations
//   original, originalr, v0, v0r, 3a   AutoAugment's and timm's policies; -mstd as above
//   trivial, ta_wide          one of 14 operations at any of 31 magnitudes
//   augmix-m5-w4-d2           AugMix: w chains (3) of d operations (1 to 3, drawn) of magnitude up
//                             to m (3), uniform or with a normal deviation mstd; a: of the
//                             distributions of their shares (1); b1: laid over each other
class AutoAugment {
 public:
  // Throws UsageError that names what of `text` is unknown. Of `samplings`, one is drawn for each
  // operation; TrivialAugment takes the nearest pixel. `fill`: what comes in from outside; timm's
  // is the mean of the data, torchvision's black, which TrivialAugment takes.
  AutoAugment(const std::string& text, std::vector<Sampling> samplings, const Colour& fill);

  void operator()(BytePicture& picture, RandomSequence& random) const;

 private:
  void parse_rand(const std::string& text);
  void parse_policy(const std::string& text);
  void parse_augmix(const std::string& text);
  std::vector<AugmentationStep> chosen(RandomSequence& random) const;
  void take(const AugmentationStep& step, BytePicture& picture, RandomSequence& random) const;
  void mix(BytePicture& picture, RandomSequence& random) const;
  void take_trivial(BytePicture& picture, RandomSequence& random) const;

  bool trivial_ = false;
  std::optional<AugMixOptions> mix_ = {};     // of operations_
  AugmentationPolicy policy_;                 // one of its lines is drawn; else:
  std::vector<AugmentationStep> operations_;  // of which `layers_` are drawn
  std::vector<double> weights_;               // by these; empty: alike, and one may come twice
  int64_t layers_ = 2;
  double deviation_ = 0, most_ = 10;  // of magnitudes
  std::vector<Sampling> samplings_;
  Colour fill_;
};

}  // namespace passband
