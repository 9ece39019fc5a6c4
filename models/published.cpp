#include "models/published.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::array<float, 3> kImageNetMean = {0.485f, 0.456f, 0.406f},
                               kImageNetStd = {0.229f, 0.224f, 0.225f}, kHalf = {0.5f, 0.5f, 0.5f};

Preprocessing imagenet(double crop, PictureFilter interpolation = PictureFilter::bicubic) {
  return {kImageNetMean, kImageNetStd, crop, interpolation};
}

Preprocessing half(double crop, PictureFilter interpolation = PictureFilter::bicubic) {
  return {kHalf, kHalf, crop, interpolation};
}

// A published name in its parts: owner/architecture_size.tag, of which only one must be there.
struct Parts {
  std::string owner, architecture, tag;
  int64_t size = 0;
};

Parts parts_of(const std::string& published) {
  Parts parts;
  const size_t slash = published.rfind('/');
  if (slash != std::string::npos) parts.owner = published.substr(0, slash);
  std::string name = slash == std::string::npos ? published : published.substr(slash + 1);
  if (!parts.owner.empty() && parts.owner != "timm") std::ranges::replace(name, '-', '_');
  const size_t dot = name.find('.');
  if (dot != std::string::npos) parts.tag = name.substr(dot + 1);
  parts.architecture = name.substr(0, dot);
  const std::string last = parts.architecture.substr(parts.architecture.rfind('_') + 1);
  int64_t size = 0;
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), size);
  // Other numbers are depths: alternet_101.
  const bool is_side = size >= 96 && size % 16 == 0;
  if (error == std::errc{} && end == last.data() + last.size() && is_side) parts.size = size;
  return parts;
}

// Names that differ by more than a tag and a size.
struct OtherName {
  std::string_view theirs, ours;
};
constexpr std::array<OtherName, 19> kOtherNames = {{{"vit_b_16", "vit_base_patch16"},
                                                    {"vit_b_32", "vit_base_patch32"},
                                                    {"vit_l_16", "vit_large_patch16"},
                                                    {"vit_l_32", "vit_large_patch32"},
                                                    {"vit_h_14", "vit_huge_patch14"},
                                                    {"swin_t", "swin_tiny"},
                                                    {"swin_s", "swin_small"},
                                                    {"swin_b", "swin_base"},
                                                    {"swin_tiny_patch4_window7", "swin_tiny"},
                                                    {"swin_small_patch4_window7", "swin_small"},
                                                    {"swin_base_patch4_window7", "swin_base"},
                                                    {"resnext50_32x4d", "resnext50"},
                                                    {"resnet_18", "resnet18"},
                                                    {"resnet_34", "resnet34"},
                                                    {"resnet_50", "resnet50"},
                                                    {"resnet_101", "resnet101"},
                                                    {"resnet_152", "resnet152"},
                                                    {"mixer_s16", "mixer_small_patch16"},
                                                    {"mixer_b16", "mixer_base_patch16"}}};

// torchvision's own preparation: resized to `resize`, then a crop of `crop`.
struct Torchvision {
  std::string_view name;
  double resize, crop;
  PictureFilter interpolation;
};
constexpr std::array<Torchvision, 8> kTorchvision = {
    {{"vit_b_16", 256, 224, PictureFilter::bilinear},
     {"vit_b_32", 256, 224, PictureFilter::bilinear},
     {"vit_l_16", 242, 224, PictureFilter::bilinear},
     {"vit_l_32", 256, 224, PictureFilter::bilinear},
     {"vit_h_14", 518, 518, PictureFilter::bicubic},
     {"swin_t", 232, 224, PictureFilter::bicubic},
     {"swin_s", 246, 224, PictureFilter::bicubic},
     {"swin_b", 238, 224, PictureFilter::bicubic}}};

bool begins_with_one_of(std::string_view text, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts,
                             [&](std::string_view start) { return text.starts_with(start); });
}

Preprocessing of_vit(const Parts& parts) {
  const double crop = parts.size >= 384 ? 1.0 : 0.9;
  // Self-supervised ones keep ImageNet's numbers.
  if (begins_with_one_of(parts.tag, {"dino", "mae"}) || parts.tag.ends_with("ijepa"))
    return imagenet(crop);
  return half(crop);
}

Preprocessing of_resnet(const std::string& tag) {
  if (begins_with_one_of(tag, {"tv", "fb_"})) return imagenet(0.875, PictureFilter::bilinear);
  if (tag.starts_with("ra4_")) return half(0.9);
  if (begins_with_one_of(tag, {"gluon", "bt_", "am_", "ra_", "ram_"})) return imagenet(0.875);
  return imagenet(0.95);
}

Preprocessing of_mixer(const std::string& tag) {
  if (!tag.starts_with("miil")) return half(0.875);
  constexpr std::array<float, 3> zero = {0, 0, 0}, one = {1, 1, 1};
  return {zero, one, 0.875, PictureFilter::bilinear};
}

std::optional<Preprocessing> of_transformers(const Parts& parts) {
  if (parts.owner == "google" && parts.architecture.starts_with("vit_"))
    return half(1.0, PictureFilter::bilinear);
  if (parts.owner == "facebook" && parts.architecture.starts_with("deit_")) return imagenet(0.875);
  if (parts.owner == "microsoft") return imagenet(0.875);
  return {};
}

// "resnet50-0676ba61": a name and eight digits of a checksum, by torchvision's custom; ResNets for
// CIFAR have it too, and ImageNet's numbers, but no crop.
std::optional<Preprocessing> of_file_name(const std::string& stem) {
  constexpr size_t kDigits = 8;
  const size_t dash = stem.rfind('-');
  if (dash == std::string::npos || stem.size() - dash - 1 != kDigits ||
      stem.find_first_not_of("0123456789abcdef", dash + 1) != std::string::npos)
    return {};
  const std::string name = stem.substr(0, dash);
  for (const Torchvision& known : kTorchvision)
    if (name == known.name) return imagenet(known.crop / known.resize, known.interpolation);
  constexpr std::array<std::string_view, 6> cifar = {"resnet20", "resnet32",  "resnet44",
                                                     "resnet56", "resnet110", "resnet1202"};
  if (std::ranges::find(cifar, name) != cifar.end())
    return Preprocessing{kImageNetMean, kImageNetStd};
  if (begins_with_one_of(name, {"resnet", "resnext"}))
    return imagenet(0.875, PictureFilter::bilinear);
  return {};
}

std::array<float, 3> three(const Json& value, const std::array<float, 3>& otherwise) {
  if (!value.is_array() || value.size() != 3) return otherwise;
  std::array<float, 3> numbers{};
  for (size_t c = 0; c < 3; ++c) {
    if (!value[c].is_number()) return otherwise;
    numbers[c] = value[c].get<float>();
  }
  return numbers;
}

Json read_json(const fs::path& file) {
  Json json = Json::parse(read_file(file.string()), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    throw DataError(concat_text(file.string(),
                                ": is not a JSON object; take it away, or take a "
                                "whole copy of it"));
  return json;
}

int64_t whole(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Of preprocessor_config.json of Hugging Face's transformers: the crop relative to what pictures
// are resized to.
double crop_of(const Json& how) {
  if (const auto share = how.find("crop_pct"); share != how.end() && share->is_number())
    return share->get<double>();
  const auto cropped = how.find("do_center_crop");
  if (cropped == how.end() || *cropped != true) return 1;
  const auto side = [&](const char* key) -> double {
    const auto found = how.find(key);
    if (found == how.end() || !found->is_object()) return static_cast<double>(whole(how, key));
    return static_cast<double>(std::max(whole(*found, "shortest_edge"), whole(*found, "height")));
  };
  const double resized = side("size"), crop = side("crop_size");
  return resized > 0 && crop > 0 && crop <= resized ? crop / resized : 0.875;
}

// timm's hub format.
Preprocessing timm_preprocessing(const Json& config) {
  Preprocessing how = imagenet(0.875);
  how.mean = three(config.value("mean", Json()), kImageNetMean);
  how.std = three(config.value("std", Json()), kImageNetStd);
  if (const auto crop = config.find("crop_pct"); crop != config.end() && crop->is_number())
    how.crop_pct = crop->get<double>();
  if (text_of(config, "interpolation") == "bilinear") how.interpolation = PictureFilter::bilinear;
  return how;
}

}  // namespace

std::vector<std::string> names_behind(const std::string& published) {
  if (published.empty() || published[0] < 'a' || published[0] > 'z') return {};
  const Parts parts = parts_of(published);
  std::vector<std::string> names = {parts.architecture};
  if (parts.size > 0) names.push_back(parts.architecture.substr(0, parts.architecture.rfind('_')));
  const std::vector<std::string> plain = names;
  for (const OtherName& other : kOtherNames)
    if (std::ranges::find(plain, other.theirs) != plain.end()) names.emplace_back(other.ours);
  return names;
}

int64_t published_size(const std::string& published) {
  return names_behind(published).empty() ? 0 : parts_of(published).size;
}

std::optional<Preprocessing> published_preprocessing(const std::string& published) {
  if (names_behind(published).empty()) return {};
  const Parts parts = parts_of(published);
  for (const Torchvision& known : kTorchvision)
    if (parts.architecture == known.name)
      return imagenet(known.crop / known.resize, known.interpolation);
  if (!parts.owner.empty() && parts.owner != "timm") return of_transformers(parts);
  const std::string& name = parts.architecture;
  if (parts.tag.empty() && parts.size == 0) return {};
  if (name.starts_with("vit_")) return of_vit(parts);
  if (name.starts_with("mixer_")) return of_mixer(parts.tag);
  if (name.starts_with("lambda_resnet26")) return imagenet(0.94);
  if (begins_with_one_of(name, {"lambda_resnet", "botnet"})) return imagenet(0.95);
  if (begins_with_one_of(name, {"deit", "swin_", "pit_", "twins_"}))
    return imagenet(parts.size >= 384 ? 1.0 : 0.9);
  if (begins_with_one_of(
          name, {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50"}))
    return of_resnet(parts.tag);
  return {};
}

std::optional<KnownPreprocessing> preprocessing_of_file(const std::string& weights,
                                                        const std::string& model) {
  if (const auto config = hub_config_beside(weights); config && config->preprocessing)
    return KnownPreprocessing{config->file, *config->preprocessing};
  const std::string stem = fs::path(weights).stem().string();
  if (const auto how = of_file_name(stem)) return KnownPreprocessing{stem, *how};
  if (const auto how = published_preprocessing(stem)) return KnownPreprocessing{stem, *how};
  if (const auto how = published_preprocessing(model)) return KnownPreprocessing{model, *how};
  return {};
}

std::optional<HubConfig> hub_config_beside(const std::string& weights) {
  const fs::path folder = fs::path(weights).parent_path();
  const fs::path file = folder / "config.json", images = folder / "preprocessor_config.json";
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  const Json json = read_json(file);
  HubConfig config{.file = file.string(),
                   .architecture = text_of(json, "architecture"),
                   .classes = whole(json, "num_classes"),
                   .image_size = whole(json, "image_size")};
  if (const auto timm = json.find("pretrained_cfg"); timm != json.end() && timm->is_object()) {
    config.preprocessing = timm_preprocessing(*timm);
    const std::string tag = text_of(*timm, "tag");
    if (!tag.empty() && config.architecture.find('.') == std::string::npos)
      config.architecture += "." + tag;
    const auto size = timm->find("input_size");
    if (size != timm->end() && size->is_array() && size->size() == 3 &&
        (*size)[2].is_number_integer())
      config.image_size = (*size)[2].get<int64_t>();
  } else if (fs::is_regular_file(images, error)) {
    const Json how = read_json(images);
    constexpr int kBicubic = 3;  // Pillow's number
    config.preprocessing = Preprocessing{
        three(how.value("image_mean", Json()), kHalf), three(how.value("image_std", Json()), kHalf),
        crop_of(how),
        whole(how, "resample") == kBicubic ? PictureFilter::bicubic : PictureFilter::bilinear};
  }
  return config;
}

}  // namespace passband
