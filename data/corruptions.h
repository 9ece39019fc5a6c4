// The common corruptions of Hendrycks and Dietterich (ICLR 2019), made from their published
// parameters: 15 kinds and 4 extra ones at 5 severities, and the files of CIFAR-10-C and
// CIFAR-100-C.
//
// Pictures up to 64 pixels take the parameters of CIFAR-10-C, larger ones those of ImageNet-C.
// Every picture is a pure function of (seed, kind, severity, index). Differences from the published
// programs: the photographs of `frost` are replaced by a drawn frost; random numbers are Philox;
// motion is blurred by ImageMagick's formula, not by ImageMagick.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace passband {

// In the published order; the last four are the extra ones.
enum class Corruption : uint8_t {
  gaussian_noise,
  shot_noise,
  impulse_noise,
  defocus_blur,
  glass_blur,
  motion_blur,
  zoom_blur,
  snow,
  frost,
  fog,
  brightness,
  contrast,
  elastic_transform,
  pixelate,
  jpeg_compression,
  speckle_noise,
  gaussian_blur,
  spatter,
  saturate,
};
inline constexpr int kCorruptions = 19, kCommonCorruptions = 15, kSeverities = 5;

enum class CorruptionGroup : uint8_t { noise, blur, weather, digital };

constexpr Corruption corruption_at(int i) { return static_cast<Corruption>(i); }
// "gaussian_noise": the stem of the file in CIFAR-10-C.
std::string_view name_of(Corruption kind);
std::string_view name_of(CorruptionGroup group);
CorruptionGroup group_of(Corruption kind);

// One picture (side, side, 3) of 8 bits into another. `index` is its number in the data set. Throws
// Error for a severity outside 1 to 5 and a side below 16. Time: at most a few hundred operations a
// pixel.
void corrupt(Corruption kind, int severity, const uint8_t* in, int64_t side, uint64_t seed,
             int64_t index, uint8_t* out);

// Pictures as a network sees them: centre crop to image_size, corrupted there, normalised. out as
// make_eval_batch.
void make_corrupted_batch(const Dataset& dataset, std::span<const int64_t> indices,
                          int64_t image_size, Corruption kind, int severity, uint64_t seed,
                          float* out);

// The published pictures. CIFAR-10-C and CIFAR-100-C: <kind>.npy of (5 n, side, side, 3) 8-bit
// pictures, severity after severity, and labels.npy. ImageNet-C:
// <kind>/<severity>/<class>/<picture>, the kinds together or in folders of their groups
// (noise/gaussian_noise/1/...).
class CorruptionFiles {
 public:
  // Reads the headers of all kinds that are there; of ImageNet-C, lists the pictures of one of
  // them. `classes` are of the network, which ImageNet-C's folders are matched to by WordNet id or
  // name, and `side` is its pictures' (it is shown their centre squares). Throws DataError naming
  // the file and what is wrong with it; when labels.npy or every kind is missing; and when the
  // files disagree in size.
  explicit CorruptionFiles(const std::filesystem::path& folder,
                           const std::vector<std::string>& classes = {}, int64_t side = 224);

  bool has(Corruption kind) const {
    const auto at = static_cast<size_t>(kind);
    return begin_[at] > 0 || !trees_[at].empty();
  }
  int64_t count() const { return count_; }  // n, pictures of one severity
  int64_t side() const { return side_; }
  const std::vector<int32_t>& labels() const { return labels_; }  // (n)
  // Pictures of one severity by number in [0, n): (indices.size(), side, side, 3). Reads only
  // these.
  std::vector<uint8_t> read(Corruption kind, int severity, std::span<const int64_t> indices) const;

 private:
  std::filesystem::path path_of(Corruption kind) const;
  void open_arrays();
  void open_trees(const std::vector<std::string>& classes);
  void read_picture(const std::filesystem::path& path, uint8_t* out) const;

  std::filesystem::path folder_;
  int64_t count_ = 0, side_ = 0;
  std::vector<int32_t> labels_;
  std::array<int64_t, kCorruptions> begin_{};  // where the pixels begin; 0: no such file
  std::array<std::filesystem::path, kCorruptions> trees_;  // empty: no such folder
  std::vector<std::filesystem::path> pictures_;            // (n) of a tree, below its severity
};

}  // namespace passband
