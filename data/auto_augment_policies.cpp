// The tables, as timm states them.
#include "data/auto_augment_policies.h"

#include <map>

namespace passband {
namespace {

using enum PictureOperation;

// The policy found on ImageNet (Cubuk et al., CVPR 2019, table 9), by `posterise`.
AugmentationPolicy original(PictureOperation posterise) {
  return {
      {{posterise, 0.4, 8}, {rotate, 0.6, 9}},  {{solarize, 0.6, 5}, {auto_contrast, 0.6, 5}},
      {{equalize, 0.8, 8}, {equalize, 0.6, 3}}, {{posterise, 0.6, 7}, {posterise, 0.6, 6}},
      {{equalize, 0.4, 7}, {solarize, 0.2, 4}}, {{equalize, 0.4, 4}, {rotate, 0.8, 8}},
      {{solarize, 0.6, 3}, {equalize, 0.6, 7}}, {{posterise, 0.8, 5}, {equalize, 1, 2}},
      {{rotate, 0.2, 3}, {solarize, 0.6, 8}},   {{equalize, 0.6, 8}, {posterise, 0.4, 6}},
      {{rotate, 0.8, 8}, {color, 0.4, 0}},      {{rotate, 0.4, 9}, {equalize, 0.6, 2}},
      {{equalize, 0, 7}, {equalize, 0.8, 8}},   {{invert, 0.6, 4}, {equalize, 1, 8}},
      {{color, 0.6, 4}, {contrast, 1, 8}},      {{rotate, 0.8, 8}, {color, 1, 2}},
      {{color, 0.8, 8}, {solarize, 0.8, 7}},    {{sharpness, 0.4, 7}, {invert, 0.6, 8}},
      {{shear_x, 0.6, 5}, {equalize, 1, 9}},    {{color, 0.4, 0}, {equalize, 0.6, 3}},
      {{equalize, 0.4, 7}, {solarize, 0.2, 4}}, {{solarize, 0.6, 5}, {auto_contrast, 0.6, 5}},
      {{invert, 0.6, 4}, {equalize, 1, 8}},     {{color, 0.6, 4}, {contrast, 1, 8}},
      {{equalize, 0.8, 8}, {equalize, 0.6, 3}},
  };
}

// That of the TPU's EfficientNet, by `posterise`.
AugmentationPolicy v0(PictureOperation posterise) {
  return {
      {{equalize, 0.8, 1}, {shear_y, 0.8, 4}},
      {{color, 0.4, 9}, {equalize, 0.6, 3}},
      {{color, 0.4, 1}, {rotate, 0.6, 8}},
      {{solarize, 0.8, 3}, {equalize, 0.4, 7}},
      {{solarize, 0.4, 2}, {solarize, 0.6, 2}},
      {{color, 0.2, 0}, {equalize, 0.8, 8}},
      {{equalize, 0.4, 8}, {solarize_add, 0.8, 3}},
      {{shear_x, 0.2, 9}, {rotate, 0.6, 8}},
      {{color, 0.6, 1}, {equalize, 1, 2}},
      {{invert, 0.4, 9}, {rotate, 0.6, 0}},
      {{equalize, 1, 9}, {shear_y, 0.6, 3}},
      {{color, 0.4, 7}, {equalize, 0.6, 0}},
      {{posterise, 0.4, 6}, {auto_contrast, 0.4, 7}},
      {{solarize, 0.6, 8}, {color, 0.6, 9}},
      {{solarize, 0.2, 4}, {rotate, 0.8, 9}},
      {{rotate, 1, 7}, {translate_y_rel, 0.8, 9}},
      {{shear_x, 0, 0}, {solarize, 0.8, 4}},
      {{shear_y, 0.8, 0}, {color, 0.6, 4}},
      {{color, 1, 0}, {rotate, 0.6, 2}},
      {{equalize, 0.8, 4}, {equalize, 0, 8}},
      {{equalize, 1, 4}, {auto_contrast, 0.6, 2}},
      {{shear_y, 0.4, 7}, {solarize_add, 0.6, 7}},
      {{posterise, 0.8, 2}, {solarize, 0.6, 10}},
      {{solarize, 0.6, 8}, {equalize, 0.6, 1}},
      {{color, 0.8, 6}, {rotate, 0.4, 5}},
  };
}

const std::map<std::string, AugmentationPolicy>& policies() {
  static const std::map<std::string, AugmentationPolicy> all = {
      {"original", original(posterize_original)},
      {"originalr", original(posterize_increasing)},
      {"v0", v0(posterize)},
      {"v0r", v0(posterize_increasing)},
      {"3a", {{{solarize, 1, 5}}, {{desaturate, 1, 10}}, {{gaussian_blur_random, 1, 10}}}}};
  return all;
}

// The 15, with the weights that older versions of timm gave them.
const OperationSet kPlain = {
    {auto_contrast, 0.025}, {equalize, 0.005},      {invert, 0},           {rotate, 0.3},
    {posterize, 0},         {solarize, 0.005},      {solarize_add, 0.005}, {color, 0.025},
    {contrast, 0.005},      {brightness, 0.005},    {sharpness, 0.025},    {shear_x, 0.2},
    {shear_y, 0.2},         {translate_x_rel, 0.1}, {translate_y_rel, 0.1}};
const OperationSet kWeights = {{rotate, 3},
                               {shear_x, 2},
                               {shear_y, 2},
                               {translate_x_rel, 1},
                               {translate_y_rel, 1},
                               {color_increasing, 0.25},
                               {sharpness_increasing, 0.25},
                               {auto_contrast, 0.25},
                               {solarize_increasing, 0.05},
                               {solarize_add, 0.05},
                               {contrast_increasing, 0.05},
                               {brightness_increasing, 0.05},
                               {equalize, 0.05},
                               {posterize_increasing, 0.05},
                               {invert, 0.05}};
const OperationSet k3a = {{solarize_increasing, 1}, {desaturate, 1}, {gaussian_blur, 1}};
const OperationSet k3aWeighted = {{solarize_increasing, 6},
                                  {desaturate, 6},
                                  {gaussian_blur, 6},
                                  {rotate, 3},
                                  {shear_x, 2},
                                  {shear_y, 2},
                                  {posterize_increasing, 1},
                                  {auto_contrast, 1},
                                  {color_increasing, 1},
                                  {sharpness_increasing, 1},
                                  {contrast_increasing, 1},
                                  {brightness_increasing, 1},
                                  {equalize, 1},
                                  {invert, 1}};

const std::vector<PictureOperation> kAugMix = {auto_contrast,
                                               color_increasing,
                                               contrast_increasing,
                                               brightness_increasing,
                                               sharpness_increasing,
                                               equalize,
                                               rotate,
                                               posterize_increasing,
                                               solarize_increasing,
                                               shear_x,
                                               shear_y,
                                               translate_x_rel,
                                               translate_y_rel};

PictureOperation increasing_form(PictureOperation operation) {
  switch (operation) {
    case posterize: return posterize_increasing;
    case solarize: return solarize_increasing;
    case color: return color_increasing;
    case contrast: return contrast_increasing;
    case brightness: return brightness_increasing;
    case sharpness: return sharpness_increasing;
    default: return operation;
  }
}

}  // namespace

std::optional<OperationSet> rand_augment_set(const std::string& name, bool increasing) {
  if (name == "weights") return kWeights;
  if (name == "3a") return k3a;
  if (name == "3aw") return k3aWeighted;
  if (!name.empty() && name != "w0") return {};
  OperationSet set = kPlain;
  for (auto& [operation, weight] : set) {
    if (increasing) operation = increasing_form(operation);
    if (name.empty()) weight = 1;
  }
  return set;
}

const std::vector<PictureOperation>& augmix_operations() { return kAugMix; }

const AugmentationPolicy* augmentation_policy(const std::string& name) {
  const auto found = policies().find(name);
  return found == policies().end() ? nullptr : &found->second;
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  for (const auto& [name, policy] : policies()) names.push_back(name);
  return names;
}

}  // namespace passband
