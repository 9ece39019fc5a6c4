// Policies from their texts, and what they draw.
#include "data/auto_augment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "data/auto_augment_policies.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

using enum PictureOperation;

constexpr double kMost = 10;  // the magnitude that ranges are stated for

double enhancement(double level) { return level * 1.8 + 0.1; }
double increasing_enhancement(double level, double sign) {
  return std::max(0.1, 1 + sign * level * 0.9);
}

// "mstd0.5": a name and a number.
std::pair<std::string, double> name_and_number(const std::string& text, const std::string& part) {
  const size_t digits = part.find_first_of("0123456789");
  double value = 0;
  const char* const end = part.data() + part.size();
  const auto [stop, error] = digits == std::string::npos
                                 ? std::from_chars_result{nullptr, std::errc::invalid_argument}
                                 : std::from_chars(part.data() + digits, end, value);
  if (error != std::errc{} || stop != end)
    throw UsageError(concat_text("aa: ", quote(part), " of ", quote(text),
                                 " is not a name and a number such as m9 or mstd0.5"));
  return {part.substr(0, digits), value};
}

[[noreturn]] void throw_unknown(const std::string& text, const std::string& name,
                                const std::vector<std::string>& known) {
  throw UsageError(concat_text("aa: ", quote(name), " of ", quote(text), " is not one of ",
                               join(known), did_you_mean(name, known)));
}

// Places in `weights`, none twice, each drawn in proportion to its weight.
std::vector<size_t> drawn_once(std::vector<double> weights, int64_t count, RandomSequence& random) {
  std::vector<size_t> places;
  for (int64_t i = 0; i < count; ++i) {
    double left = random.uniform() * std::accumulate(weights.begin(), weights.end(), 0.0);
    size_t at = 0, last = 0;
    for (; at < weights.size(); ++at) {
      if (weights[at] == 0) continue;
      last = at;
      left -= weights[at];
      if (left < 0) break;
    }
    places.push_back(last);
    weights[last] = 0;
  }
  return places;
}

bool flip_coin(RandomSequence& random) { return random.uniform() < 0.5f; }

// TrivialAugment's magnitudes: bin 0 to 30 of its ranges.
struct TrivialRange {
  PictureOperation operation;
  double most;  // at bin 30; 0: no magnitude
};
constexpr TrivialRange kTrivial[] = {
    {identity, 0},  {shear_x, 0.99},    {shear_y, 0.99},    {translate_x, 32}, {translate_y, 32},
    {rotate, 135},  {brightness, 0.99}, {color, 0.99},      {contrast, 0.99},  {sharpness, 0.99},
    {posterize, 0}, {solarize, 0},      {auto_contrast, 0}, {equalize, 0}};

double trivial_argument(const TrivialRange& range, int bin, bool negative) {
  const double value = range.most * bin / 30 * (negative ? -1 : 1);
  switch (range.operation) {
    case brightness:
    case color:
    case contrast:
    case sharpness: return 1 + value;
    case translate_x:
    case translate_y: return -std::trunc(value);
    case posterize: return 8 - std::nearbyint(bin / 5.0);
    case solarize: return std::ceil(255 - 8.5 * bin);
    default: return value;
  }
}

void check_range(const std::string& text, const char* what, double value, double low, double high) {
  if (value >= low && value <= high) return;
  throw UsageError(concat_text("aa: ", what, " of ", quote(text), " is ", value,
                               "; it must be from ", low, " to ", high));
}

}  // namespace

double argument_of(PictureOperation operation, double magnitude, bool negative, int64_t side,
                   double translated) {
  const double level = magnitude / kMost, sign = negative ? -1 : 1;
  switch (operation) {
    case rotate: return sign * level * 30;
    case posterize: return std::trunc(level * 4);
    case posterize_increasing: return 4 - std::trunc(level * 4);
    case posterize_original: return std::trunc(level * 4) + 4;
    case solarize: return std::min(256.0, std::trunc(level * 256));
    case solarize_increasing: return 256 - std::min(256.0, std::trunc(level * 256));
    case solarize_add: return std::min(128.0, std::trunc(level * 110));
    case color:
    case contrast:
    case brightness:
    case sharpness: return enhancement(level);
    case color_increasing:
    case contrast_increasing:
    case brightness_increasing:
    case sharpness_increasing: return increasing_enhancement(level, sign);
    case shear_x:
    case shear_y: return sign * level * 0.3;
    case translate_x:
    case translate_y: return sign * level * std::trunc(static_cast<double>(side) * translated);
    case translate_x_rel:
    case translate_y_rel: return sign * level * translated;
    case desaturate: return std::clamp(0.5 + 0.5 * level, 0.5, 1.0);
    case gaussian_blur: return std::clamp(0.1 + 1.9 * level, 0.1, 2.0);
    case gaussian_blur_random: return std::clamp(level, 0.0, 1.0);
    case identity:
    case auto_contrast:
    case equalize:
    case invert: return 0;
  }
  return 0;
}

void apply(PictureOperation operation, BytePicture& picture, double argument, Sampling sampling,
           const Colour& fill) {
  const double width = static_cast<double>(picture.width);
  const double height = static_cast<double>(picture.height);
  const auto move = [&](const Affine& where) { transform(picture, where, sampling, fill); };
  const int whole = static_cast<int>(argument);
  switch (operation) {
    case identity: return;
    case auto_contrast: return stretch_contrast(picture);
    case equalize: return equalise(picture);
    case invert: return invert_values(picture);
    case rotate: return rotate_about_centre(picture, argument, sampling, fill);
    case posterize:
    case posterize_increasing:
    case posterize_original: return posterise(picture, whole);
    case solarize:
    case solarize_increasing: return solarise(picture, whole);
    case solarize_add: return solarise_add(picture, whole);
    case color:
    case color_increasing: return adjust_colour(picture, argument);
    case contrast:
    case contrast_increasing: return adjust_contrast(picture, argument);
    case brightness:
    case brightness_increasing: return adjust_brightness(picture, argument);
    case sharpness:
    case sharpness_increasing: return adjust_sharpness(picture, argument);
    case shear_x: return move({.b = argument});
    case shear_y: return move({.d = argument});
    case translate_x: return move({.c = argument});
    case translate_y: return move({.f = argument});
    case translate_x_rel: return move({.c = argument * width});
    case translate_y_rel: return move({.f = argument * height});
    case desaturate: return adjust_colour(picture, std::clamp(1 - argument, 0.0, 1.0));
    case gaussian_blur:
    case gaussian_blur_random: return blur(picture, argument);
  }
}

AutoAugment::AutoAugment(const std::string& text, std::vector<Sampling> samplings,
                         const Colour& fill)
    : samplings_(std::move(samplings)), fill_(fill) {
  if (text == "trivial" || text == "ta_wide") trivial_ = true;
  else if (text == "rand" || text.starts_with("rand-")) parse_rand(text);
  else if (text == "augmix" || text.starts_with("augmix-")) parse_augmix(text);
  else parse_policy(text);
}

void AutoAugment::parse_rand(const std::string& text) {
  bool increasing = false;
  double magnitude = kMost, probability = 0.5;
  std::string set;
  const std::vector<std::string> parts = split_text(text, '-');
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].starts_with('t')) {
      set = parts[i].substr(1);
      continue;
    }
    const auto [name, value] = name_and_number(text, parts[i]);
    if (name == "m") magnitude = value;
    else if (name == "n") layers_ = static_cast<int64_t>(value);
    else if (name == "p") probability = value;
    else if (name == "mstd") deviation_ = value;
    else if (name == "mmax") most_ = value;
    else if (name == "inc") increasing = value != 0;
    else if (name == "w" && value == 0) set = "w0";
    else
      throw_unknown(text, parts[i],
                    {"m9", "n2", "p0.5", "mstd0.5", "mmax10", "inc1", "tweights", "w0"});
  }
  check_range(text, "n", static_cast<double>(layers_), 1, 100);
  check_range(text, "p", probability, 0, 1);
  const std::optional<OperationSet> operations = rand_augment_set(set, increasing);
  if (!operations) throw_unknown(text, "t" + set, {"tweights", "t3a", "t3aw"});
  for (const auto& [operation, weight] : *operations) {
    operations_.push_back({operation, probability, magnitude});
    weights_.push_back(weight);
  }
  const auto drawable = std::ranges::count_if(weights_, [](double w) { return w > 0; });
  const bool alike = std::ranges::adjacent_find(weights_, std::not_equal_to{}) == weights_.end();
  if (alike) return weights_.clear();
  check_range(text, "n", static_cast<double>(layers_), 1, static_cast<double>(drawable));
}

void AutoAugment::parse_augmix(const std::string& text) {
  double magnitude = 3, width = 3, depth = 0, alpha = 1, blended = 0;
  deviation_ = std::numeric_limits<double>::infinity();
  const std::vector<std::string> parts = split_text(text, '-');
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto [name, value] = name_and_number(text, parts[i]);
    if (name == "m") magnitude = value;
    else if (name == "w") width = value;
    else if (name == "d") depth = value;
    else if (name == "a") alpha = value;
    else if (name == "b") blended = value;
    else if (name == "mstd") deviation_ = value;
    else throw_unknown(text, parts[i], {"m5", "w4", "d2", "a1", "b1", "mstd0.5"});
  }
  check_range(text, "m", magnitude, 0, kMost);
  check_range(text, "w", width, 1, 100);
  check_range(text, "d", depth, 0, 100);
  check_range(text, "a", alpha, 0.01, 100);
  mix_ = {static_cast<int64_t>(width), static_cast<int64_t>(depth), alpha, blended != 0};
  for (const PictureOperation operation : augmix_operations())
    operations_.push_back({operation, 1, magnitude});
}

void AutoAugment::parse_policy(const std::string& text) {
  const std::vector<std::string> parts = split_text(text, '-');
  const AugmentationPolicy* policy = augmentation_policy(parts[0]);
  if (!policy) {
    std::vector<std::string> known = policy_names();
    known.insert(known.begin(), {"rand-m9-mstd0.5-inc1", "trivial", "augmix-m5-w4-d2"});
    throw UsageError(concat_text("aa: ", quote(text), " is not one of ", join(known),
                                 did_you_mean(text, known)));
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto [name, value] = name_and_number(text, parts[i]);
    if (name != "mstd") throw_unknown(text, parts[i], {"mstd0.5"});
    deviation_ = value;
  }
  policy_ = *policy;
}

std::vector<AugmentationStep> AutoAugment::chosen(RandomSequence& random) const {
  const auto one_of = [&](const auto& all) -> const auto& {
    return all[static_cast<size_t>(random.below(static_cast<int64_t>(all.size())))];
  };
  if (!policy_.empty()) return one_of(policy_);
  std::vector<AugmentationStep> steps;
  if (weights_.empty()) {
    for (int64_t i = 0; i < layers_; ++i) steps.push_back(one_of(operations_));
  } else {
    for (const size_t at : drawn_once(weights_, layers_, random)) steps.push_back(operations_[at]);
  }
  return steps;
}

void AutoAugment::take(const AugmentationStep& step, BytePicture& picture,
                       RandomSequence& random) const {
  constexpr double kUniform = 100;  // a larger deviation means this
  if (random.uniform() >= step.probability) return;
  double magnitude = step.magnitude;
  if (deviation_ > kUniform) magnitude *= random.uniform();
  else if (deviation_ > 0) magnitude += deviation_ * random.normal();
  const bool negative = flip_coin(random);
  double argument = argument_of(step.operation, std::clamp(magnitude, 0.0, most_), negative,
                                std::min(picture.height, picture.width),
                                mix_ ? kMostTranslatedByAugMix : kMostTranslated);
  if (step.operation == gaussian_blur_random)
    argument = random.uniform(0.1f, static_cast<float>(2 * argument));
  const int64_t sampling = random.below(static_cast<int64_t>(samplings_.size()));
  apply(step.operation, picture, argument, samplings_[static_cast<size_t>(sampling)], fill_);
}

void AutoAugment::mix(BytePicture& picture, RandomSequence& random) const {
  const AugMixShares shares = draw_shares(*mix_, random);
  std::vector<BytePicture> chains;
  for (int64_t c = 0; c < mix_->width; ++c) {
    const int64_t depth = mix_->depth > 0 ? mix_->depth : 1 + random.below(3);
    BytePicture& chain = chains.emplace_back(picture);
    for (int64_t i = 0; i < depth; ++i)
      take(operations_[random.below(std::ssize(operations_))], chain, random);
  }
  mix_chains(picture, chains, shares, mix_->blended);
}

void AutoAugment::take_trivial(BytePicture& picture, RandomSequence& random) const {
  const TrivialRange& range = kTrivial[random.below(static_cast<int64_t>(std::size(kTrivial)))];
  const int bin = static_cast<int>(random.below(31));
  const double argument = trivial_argument(range, bin, flip_coin(random));
  apply(range.operation, picture, argument, Sampling::nearest, {});
}

void AutoAugment::operator()(BytePicture& picture, RandomSequence& random) const {
  if (trivial_) return take_trivial(picture, random);
  if (mix_) return mix(picture, random);
  for (const AugmentationStep& step : chosen(random)) take(step, picture, random);
}

}  // namespace passband
