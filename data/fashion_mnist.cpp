// Fashion-MNIST (Xiao, Rasul and Vollgraf 2017) in IDX files, as Debian's dataset-fashion-mnist
// installs them.
#include "data/image.h"
#include "data/readers.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kStoredSide = 28, kPaddedSide = 32, kBorder = (kPaddedSide - kStoredSide) / 2;

uint32_t big_endian32(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | uint32_t{at[3]};
}

// The elements of an IDX file of bytes whose dimensions must be `shape`. Prefers the plain file to
// the gzip one.
std::vector<uint8_t> read_idx(const fs::path& folder, const std::string& name,
                              const std::vector<uint32_t>& shape) {
  fs::path path = folder / name;
  const bool plain = fs::exists(path);
  if (!plain) path += ".gz";
  const size_t header = 4 + 4 * shape.size();
  int64_t expected = static_cast<int64_t>(header), elements = 1;
  for (const uint32_t extent : shape) elements *= extent;
  expected += elements;
  std::vector<uint8_t> content = read_file_bytes(path, plain ? expected : expected + 4096);
  if (!plain) content = inflate_gzip(content, expected, path);
  if (static_cast<int64_t>(content.size()) != expected)
    throw DataError(
        concat_text(path.string(), ": expected ", expected, " bytes, found ", content.size()));
  // type 8 = unsigned byte, then the rank
  bool right = big_endian32(content.data()) == 0x0800u + shape.size();
  for (size_t k = 0; k < shape.size(); ++k)
    right = right && big_endian32(&content[4 + 4 * k]) == shape[k];
  if (!right) throw DataError(concat_text(path.string(), ": not the IDX header of ", name));
  content.erase(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(header));
  return content;
}

Dataset read_split(const fs::path& folder, const std::string& split, const std::string& stem,
                   uint32_t count) {
  const DatasetInfo info = dataset_info("fashion-mnist");
  Dataset data{.name = info.name,
               .split = split,
               .count = count,
               .height = kPaddedSide,
               .width = kPaddedSide};
  data.classes = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                  "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
  data.mean = info.mean;
  data.std = info.std;
  const std::vector<uint8_t> grey =
      read_idx(folder, stem + "-images-idx3-ubyte", {count, kStoredSide, kStoredSide});
  const std::vector<uint8_t> labels = read_idx(folder, stem + "-labels-idx1-ubyte", {count});
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] > 9)
      throw DataError(concat_text((folder / (stem + "-labels-idx1-ubyte")).string(), ": label ",
                                  int{labels[i]}, " of picture ", i, " is not 0 to 9"));
  data.labels.assign(labels.begin(), labels.end());
  data.images.assign(count * data.image_bytes(), 0);
  for_each_index(data.count, [&](int64_t i) {
    for (int64_t y = 0; y < kStoredSide; ++y)
      for (int64_t x = 0; x < kStoredSide; ++x)
        std::fill_n(&data.images[((i * kPaddedSide + y + kBorder) * kPaddedSide + x + kBorder) * 3],
                    3, grey[(i * kStoredSide + y) * kStoredSide + x]);
  });
  return data;
}

}  // namespace

DataSplits read_fashion_mnist(const fs::path& folder) {
  return {read_split(folder, "train", "train", 60000), read_split(folder, "test", "t10k", 10000)};
}

}  // namespace passband
