#include "data/matlab.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>

#include "data/image.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kHeader = 128, kTag = 8;
constexpr uint32_t kInt8 = 1, kInt32 = 5, kUint32 = 6, kMatrix = 14, kCompressed = 15;
constexpr size_t kMostDimensions = 4;

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw DataError(concat_text(path.string(), ": ", what));
}

uint32_t word_at(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} | uint32_t{bytes[at + 1]} << 8 | uint32_t{bytes[at + 2]} << 16 |
         uint32_t{bytes[at + 3]} << 24;
}

struct Element {
  uint32_t type = 0;
  Bytes data;
};

// Takes elements off the front of a stretch of the file.
class Elements {
 public:
  Elements(Bytes rest, const fs::path& path) : rest_(rest), path_(path) {}
  bool empty() const { return rest_.empty(); }
  Element next();

 private:
  Bytes rest_;
  const fs::path& path_;
};

Element Elements::next() {
  if (rest_.size() < kTag) refuse(path_, "ends within the tag of an element");
  const uint32_t first = word_at(rest_, 0);
  const size_t small = first >> 16;  // bytes of an element that is packed into its own tag
  if (small > 4) refuse(path_, "damaged: a small element is longer than four bytes");
  if (small > 0) {
    const Element element{first & 0xFFFF, rest_.subspan(4, small)};
    rest_ = rest_.subspan(kTag);
    return element;
  }
  const size_t bytes = word_at(rest_, 4);
  if (bytes > rest_.size() - kTag)
    refuse(path_, concat_text("cut or damaged: an element of ", bytes, " bytes has ",
                              rest_.size() - kTag, " left"));
  const Element element{first, rest_.subspan(kTag, bytes)};
  const size_t padded = first == kCompressed ? bytes : (bytes + 7) / 8 * 8;
  rest_ = rest_.subspan(std::min(rest_.size(), kTag + padded));
  return element;
}

struct Storage {
  int64_t bytes = 0;
  bool is_signed = false, is_floating = false;
};

// How numbers of a data type are stored; nothing for a type that holds none.
std::optional<Storage> storage_of(uint32_t type) {
  switch (type) {
    case 1: return Storage{1, true, false};
    case 2: return Storage{1, false, false};
    case 3: return Storage{2, true, false};
    case 4: return Storage{2, false, false};
    case 5: return Storage{4, true, false};
    case 6: return Storage{4, false, false};
    case 7: return Storage{4, true, true};
    case 9: return Storage{8, true, true};
    case 12: return Storage{8, true, false};
    case 13: return Storage{8, false, false};
    default: return std::nullopt;
  }
}

void check_flags(const Element& flags, const std::string& name, const fs::path& path) {
  constexpr uint32_t kDouble = 6, kUint64 = 15, kComplex = 0x800;
  const uint32_t word = word_at(flags.data, 0), kind = word & 0xFF;
  if (kind < kDouble || kind > kUint64)
    refuse(path, concat_text("the array ", quote(name), " holds no numbers (class ", kind, ")"));
  if (word & kComplex) refuse(path, concat_text("the array ", quote(name), " is complex"));
}

std::vector<int64_t> shape_of(const Element& dimensions, int64_t most, const fs::path& path) {
  std::vector<int64_t> shape;
  int64_t count = 1;
  for (size_t at = 0; at + 4 <= dimensions.data.size(); at += 4) {
    const auto extent = std::bit_cast<int32_t>(word_at(dimensions.data, at));
    if (extent < 1 || extent > most / count)
      refuse(path, "damaged: the extents of an array are out of range");
    count *= extent;
    shape.push_back(extent);
  }
  return shape;
}

struct Wanted {
  const std::vector<std::string>& names;
  int64_t most_bytes;
};

// The array of a matrix element, its numbers still unread where its name is not wanted.
std::optional<MatlabArray> parse_matrix(Bytes content, const Wanted& wanted, const fs::path& path) {
  Elements elements(content, path);
  const Element flags = elements.next(), dimensions = elements.next(), label = elements.next();
  if (flags.type != kUint32 || flags.data.size() != 8 || dimensions.type != kInt32 ||
      dimensions.data.size() < 8 || dimensions.data.size() > 4 * kMostDimensions ||
      label.type != kInt8)
    refuse(path, "damaged: an array does not begin with its class, extents and name");
  MatlabArray array;
  array.name.assign(label.data.begin(), label.data.end());
  if (std::ranges::find(wanted.names, array.name) == wanted.names.end()) return std::nullopt;
  check_flags(flags, array.name, path);
  array.shape = shape_of(dimensions, wanted.most_bytes, path);
  const Element numbers = elements.next();
  const std::optional<Storage> storage = storage_of(numbers.type);
  if (!storage || std::ssize(numbers.data) != array.count() * storage->bytes)
    refuse(path,
           concat_text("damaged: the numbers of ", quote(array.name), " do not fill its extents"));
  array.element_bytes = storage->bytes;
  array.is_signed = storage->is_signed;
  array.is_floating = storage->is_floating;
  array.data.assign(numbers.data.begin(), numbers.data.end());
  return array;
}

// What a compressed element holds: one element. Its own tag, inflated first, tells its size.
std::vector<uint8_t> inflate_element(Bytes packed, int64_t most_bytes, const fs::path& path) {
  constexpr int64_t kDensest = 1032;  // bytes that deflate makes of one at most
  const std::vector<uint8_t> start = inflate_zlib_start(packed, kTag, path);
  const int64_t bytes = int64_t{word_at(start, 4)} + int64_t{kTag};
  if (bytes > most_bytes)
    refuse(path, concat_text("an array inflates to ", bytes, " bytes, the limit is ", most_bytes));
  if (bytes > kDensest * std::ssize(packed))
    refuse(path, "damaged: an array cannot inflate to the size that it claims");
  return inflate_zlib(packed, bytes, path);
}

void check_header(Bytes file, const fs::path& path) {
  const bool has_mark = file.size() >= kHeader;
  const bool little = has_mark && file[126] == 'I' && file[127] == 'M';
  if (has_mark && file[126] == 'M' && file[127] == 'I') refuse(path, "is in big-endian order");
  if (std::string_view(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 8))
          .starts_with("\x89HDF"))
    refuse(path, "is a MAT-file of version 7.3 (HDF5); save it with -v7");
  if (!little || file[125] != 1) refuse(path, "is not a MAT-file of level 5");
}

}  // namespace

int64_t MatlabArray::count() const {
  int64_t product = 1;
  for (const int64_t extent : shape) product *= extent;
  return product;
}

std::vector<MatlabArray> read_matlab(const fs::path& path, const std::vector<std::string>& names,
                                     int64_t most_bytes) {
  const std::vector<uint8_t> file = read_file_bytes(path, most_bytes);
  check_header(file, path);
  const Wanted wanted{names, most_bytes};
  std::vector<std::optional<MatlabArray>> found(names.size());
  for (Elements elements(Bytes(file).subspan(kHeader), path); !elements.empty();) {
    Element element = elements.next();
    std::vector<uint8_t> inflated;
    if (element.type == kCompressed) {
      inflated = inflate_element(element.data, most_bytes, path);
      element = Elements(inflated, path).next();
    }
    if (element.type != kMatrix) refuse(path, "damaged: an element is no array");
    std::optional<MatlabArray> array = parse_matrix(element.data, wanted, path);
    if (!array) continue;
    found[static_cast<size_t>(std::ranges::find(names, array->name) - names.begin())] =
        std::move(array);
  }
  std::vector<MatlabArray> arrays;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!found[i]) refuse(path, concat_text("has no array ", quote(names[i])));
    arrays.push_back(std::move(*found[i]));
  }
  return arrays;
}

namespace {

double number_at(const MatlabArray& array, int64_t i) {
  uint64_t bits = 0;
  std::memcpy(&bits, &array.data[static_cast<size_t>(i * array.element_bytes)],
              static_cast<size_t>(array.element_bytes));
  if (array.is_floating && array.element_bytes == 4)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  if (array.is_floating) return std::bit_cast<double>(bits);
  if (!array.is_signed) return static_cast<double>(bits);
  const auto shift = static_cast<int>(64 - 8 * array.element_bytes);
  return static_cast<double>(static_cast<int64_t>(bits << shift) >> shift);
}

}  // namespace

std::vector<int64_t> whole_numbers(const MatlabArray& array, int64_t most, const fs::path& path) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < array.count(); ++i) {
    const double value = number_at(array, i);
    if (!(value >= 0 && value <= static_cast<double>(most)) || value != std::floor(value))
      refuse(path, concat_text("number ", i, " of ", quote(array.name), " is ", value,
                               "; it must be whole and 0 to ", most));
    numbers.push_back(static_cast<int64_t>(value));
  }
  return numbers;
}

}  // namespace passband
