// The .npy files of CIFAR-10-C and CIFAR-100-C and the folders of ImageNet-C: headers and names are
// checked, pixels are read when they are asked for.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <string>

#include "data/corruptions.h"
#include "data/image.h"
#include "data/imagenet_classes.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

struct NpyHeader {
  std::string type;  // "|u1"
  std::vector<int64_t> shape;
  int64_t begin = 0;  // of the elements in the file

  int64_t elements() const {
    int64_t count = 1;
    for (const int64_t n : shape) count *= n;
    return count;
  }
};

// Larger than any such file: beyond it the sizes could not be multiplied.
constexpr int64_t kMostBytes = int64_t{1} << 50;
constexpr int64_t kMostClasses = 65536;

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw DataError(concat_text(path.string(), ": ", what));
}

// The text of the header's value for `key`: from after "'key':" on.
std::string_view value_of(const fs::path& path, std::string_view header, std::string_view key) {
  const size_t at = header.find(concat_text("'", key, "':"));
  if (at == std::string_view::npos) refuse(path, concat_text("the .npy header has no ", key));
  std::string_view rest = header.substr(at + key.size() + 3);
  return rest.substr(std::min(rest.size(), rest.find_first_not_of(' ')));
}

std::vector<int64_t> parse_shape(const fs::path& path, std::string_view text) {
  std::vector<int64_t> shape;
  if (text.empty() || text[0] != '(') refuse(path, "the .npy header has no shape");
  const char *at = text.data() + 1, *end = text.data() + std::min(text.size(), text.find(')'));
  while (at < end) {
    int64_t n = 0;
    const auto [next, error] = std::from_chars(at, end, n);
    if (error != std::errc{} || n < 0 || n > int64_t{1} << 31 || shape.size() == 4)
      refuse(path, "the shape in the .npy header is malformed");
    shape.push_back(n);
    if (std::accumulate(shape.begin(), shape.end(), 1.0, std::multiplies<>()) >
        static_cast<double>(kMostBytes))
      refuse(path, "the shape in the .npy header is larger than any file");
    at = next;
    while (at < end && (*at == ',' || *at == ' ')) ++at;
  }
  return shape;
}

// Version 1.0 to 3.0 of the format, C order.
NpyHeader read_header(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, 12> start{};
  if (!file.read(reinterpret_cast<char*>(start.data()), 10) ||
      std::string_view(reinterpret_cast<char*>(start.data()), 6) != "\x93NUMPY")
    refuse(path, "is not a .npy file");
  int64_t length = start[8] | start[9] << 8, begin = 10;
  if (start[6] > 1) {
    file.read(reinterpret_cast<char*>(start.data()) + 10, 2);
    length |= int64_t{start[10]} << 16 | int64_t{start[11]} << 24;
    begin = 12;
  }
  if (length > 65536) refuse(path, "the .npy header is too long");
  std::string header(static_cast<size_t>(length), ' ');
  if (!file.read(header.data(), length)) refuse(path, "ends within its .npy header");
  if (!value_of(path, header, "fortran_order").starts_with("False"))
    refuse(path, "is in Fortran order");
  const std::string_view type = value_of(path, header, "descr");
  if (type.size() < 4) refuse(path, "the .npy header has no type");
  return {std::string(type.substr(1, 3)), parse_shape(path, value_of(path, header, "shape")),
          begin + length};
}

void check_size(const fs::path& path, const NpyHeader& header, int64_t element) {
  const auto expected = static_cast<uintmax_t>(header.begin + header.elements() * element);
  if (fs::file_size(path) != expected)
    refuse(path, concat_text("is ", fs::file_size(path), " bytes, its header says ", expected));
}

std::vector<int32_t> read_labels(const fs::path& path) {
  if (!fs::exists(path)) refuse(path, "is missing; CIFAR-10-C and CIFAR-100-C come with it");
  const NpyHeader header = read_header(path);
  const int64_t element = header.type == "|u1"   ? 1
                          : header.type == "<i8" ? 8
                          : header.type == "<i4" ? 4
                                                 : 0;
  if (element == 0 || header.shape.size() != 1)
    refuse(path, concat_text("holds ", quote(header.type), " of ", header.shape.size(),
                             " dimensions, not a list of labels"));
  check_size(path, header, element);
  std::ifstream file(path, std::ios::binary);
  file.seekg(header.begin);
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < header.elements(); ++i) {
    int64_t label = 0;  // little-endian, as the file is
    std::array<char, 8> bytes{};
    if (!file.read(bytes.data(), element)) refuse(path, "cannot be read");
    std::memcpy(&label, bytes.data(), sizeof label);
    if (element == 4) label = static_cast<int32_t>(label);
    if (label < 0 || label >= kMostClasses)
      refuse(path, concat_text("label ", i, " is ", label, "; labels are 0 to ", kMostClasses - 1));
    labels.push_back(static_cast<int32_t>(label));
  }
  return labels;
}

// Its entries that are folders, or all others, in byte order of their names.
std::vector<fs::path> entries_of(const fs::path& folder, bool folders) {
  std::vector<fs::path> entries;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->is_directory(code) == folders && !entry->path().filename().string().starts_with('.'))
      entries.push_back(entry->path());
  std::ranges::sort(entries);
  return entries;
}

// The folder of a kind, in ImageNet-C's own or in that of one of its groups; empty: there is none.
fs::path tree_of(const fs::path& folder, std::string_view kind) {
  std::error_code code;
  if (fs::is_directory(folder / kind / "1", code)) return folder / kind;
  for (const fs::path& group : entries_of(folder, /*folders=*/true))
    if (fs::is_directory(group / kind / "1", code)) return group / kind;
  return {};
}

}  // namespace

CorruptionFiles::CorruptionFiles(const fs::path& folder, const std::vector<std::string>& classes,
                                 int64_t side)
    : folder_(folder), side_(side) {
  bool trees = false;
  for (int i = 0; i < kCorruptions; ++i) {
    trees_[static_cast<size_t>(i)] = tree_of(folder, name_of(corruption_at(i)));
    trees |= !trees_[static_cast<size_t>(i)].empty();
  }
  if (trees) open_trees(classes);
  else open_arrays();
}

void CorruptionFiles::open_trees(const std::vector<std::string>& classes) {
  const fs::path first =
      *std::ranges::find_if(trees_, [](const fs::path& tree) { return !tree.empty(); }) / "1";
  const std::vector<fs::path> folders = entries_of(first, /*folders=*/true);
  std::vector<std::string> names;
  for (const fs::path& one : folders) names.push_back(one.filename().string());
  const std::vector<int32_t> labels = labels_among(names, classes);
  for (size_t k = 0; k < folders.size(); ++k) {
    if (labels[k] < 0) continue;  // of a class that the network does not know
    for (const fs::path& picture : entries_of(folders[k], /*folders=*/false)) {
      pictures_.push_back(fs::path(names[k]) / picture.filename());
      labels_.push_back(labels[k]);
    }
  }
  count_ = std::ssize(pictures_);
  if (count_ == 0)
    refuse(first, concat_text("has no pictures in folders of the ", classes.size(),
                              " classes that the network knows"));
}

void CorruptionFiles::read_picture(const fs::path& path, uint8_t* out) const {
  const EncodedPicture picture(path);
  picture.resize(centre_square(picture.height(), picture.width()), out, side_, side_);
}

void CorruptionFiles::open_arrays() {
  const fs::path& folder = folder_;
  labels_ = read_labels(folder / "labels.npy");
  for (int i = 0; i < kCorruptions; ++i) {
    const fs::path path = path_of(corruption_at(i));
    if (!fs::exists(path)) continue;
    const NpyHeader header = read_header(path);
    const std::vector<int64_t>& shape = header.shape;
    if (header.type != "|u1" || shape.size() != 4 || shape[0] % kSeverities != 0 || shape[0] == 0 ||
        shape[1] != shape[2] || shape[1] == 0 || shape[3] != 3)
      refuse(path, "does not hold 8-bit pictures (5 n, side, side, 3)");
    check_size(path, header, 1);
    const int64_t count = shape[0] / kSeverities;
    if (count_ > 0 && (count != count_ || shape[1] != side_))
      refuse(path, concat_text("holds ", count, " pictures of ", shape[1],
                               " pixels for each severity, other kinds ", count_, " of ", side_));
    count_ = count;
    side_ = shape[1];
    begin_[static_cast<size_t>(i)] = header.begin;
  }
  if (count_ == 0)
    refuse(folder, "holds none of the kinds of corruption (gaussian_noise.npy, ...)");
  if (std::ssize(labels_) != count_ && std::ssize(labels_) != kSeverities * count_)
    refuse(folder / "labels.npy",
           concat_text("holds ", labels_.size(), " labels for ", count_, " pictures"));
  labels_.resize(static_cast<size_t>(count_));
}

fs::path CorruptionFiles::path_of(Corruption kind) const {
  return folder_ / concat_text(name_of(kind), ".npy");
}

std::vector<uint8_t> CorruptionFiles::read(Corruption kind, int severity,
                                           std::span<const int64_t> indices) const {
  CHECK(has(kind) && severity >= 1 && severity <= kSeverities, folder_.string(), ": has no ",
        name_of(kind), " of severity ", severity);
  const int64_t bytes = side_ * side_ * 3;
  std::vector<uint8_t> pixels(indices.size() * static_cast<size_t>(bytes));
  const fs::path& tree = trees_[static_cast<size_t>(kind)];
  std::ifstream file;
  if (tree.empty()) file.open(path_of(kind), std::ios::binary);
  for (size_t i = 0; i < indices.size(); ++i) {
    CHECK(indices[i] >= 0 && indices[i] < count_, folder_.string(), ": picture ", indices[i],
          " of ", count_, " does not exist");
    uint8_t* const out = pixels.data() + static_cast<int64_t>(i) * bytes;
    if (!tree.empty()) {
      read_picture(tree / std::to_string(severity) / pictures_[static_cast<size_t>(indices[i])],
                   out);
      continue;
    }
    file.seekg(begin_[static_cast<size_t>(kind)] + ((severity - 1) * count_ + indices[i]) * bytes);
    if (!file.read(reinterpret_cast<char*>(out), bytes)) refuse(path_of(kind), "cannot be read");
  }
  return pixels;
}

}  // namespace passband
