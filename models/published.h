// Names of networks as timm, torchvision and Hugging Face publish them: which network here each is,
// and how its pictures were prepared.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/preprocessing.h"

namespace passband {

// The names here that a published one may stand for, the likeliest first:
// "timm/vit_tiny_patch16_224.augreg_in21k" gives "vit_tiny_patch16_224" and "vit_tiny_patch16".
// Nothing for a pattern.
std::vector<std::string> names_behind(const std::string& published);

// The side of the pictures that a published name states: 224; 0 where it states none.
int64_t published_size(const std::string& published);

// How pictures were prepared for the weights of that name, as far as the name tells: a tag
// ("resnet50.a1_in1k"), a size ("deit_small_patch16_224"), or a name that only one library has
// ("swin_t"). Nothing for other names, such as "resnet50": the data set's way is as good.
std::optional<Preprocessing> published_preprocessing(const std::string& published);

// How pictures were prepared for a file of weights of the network `model`, and who says so: a
// config.json beside it, its own name ("swin_t-704ceda3.pth", as torchvision and others name
// theirs) or the model's. Nothing when nobody does.
struct KnownPreprocessing {
  std::string by;
  Preprocessing how;
};
std::optional<KnownPreprocessing> preprocessing_of_file(const std::string& weights,
                                                        const std::string& model);

// The same of a config.json of timm's or a preprocessor_config.json of transformers' beside a file
// of weights, with the name of the network where it is stated.
struct HubConfig {
  std::string file;                     // that was read
  std::string architecture;             // may be empty
  int64_t classes = 0, image_size = 0;  // 0: not stated
  std::optional<Preprocessing> preprocessing = {};
};
// Nothing where no such file lies beside it. Throws DataError for a damaged one.
std::optional<HubConfig> hub_config_beside(const std::string& weights);

}  // namespace passband
