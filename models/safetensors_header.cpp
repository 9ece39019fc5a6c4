// The header of a safetensors file: a strict streaming parser and the checks of its claims.
#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/safetensors.h"
#include "tensor/core/checksum.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

struct ElementType {
  std::string_view name;
  uint64_t bits;
};

constexpr std::array<ElementType, 21> kTypes = {
    {{"BOOL", 8},    {"U8", 8},          {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8},
     {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4},      {"F6_E2M3", 6},
     {"F6_E3M2", 6}, {"I16", 16},        {"U16", 16},        {"F16", 16},    {"BF16", 16},
     {"I32", 32},    {"U32", 32},        {"F32", 32},        {"I64", 64},    {"U64", 64},
     {"F64", 64}}};

const ElementType* find_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &ElementType::name);
  return found == kTypes.end() ? nullptr : &*found;
}

// Receives the JSON as it is read, and refuses what a header may not hold the moment it appears: no
// tree is built.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(const std::string& path, SafetensorsHeader& header) : path_(path), header_(header) {}

  bool key(std::string& name) override {
    if (level_ == 1) return open_entry(name);
    if (metadata_) {
      if (header_.metadata.contains(name))
        refuse(concat_text("metadata key ", quote(name), " appears twice"));
      key_ = name;
      return true;
    }
    const bool known = name == "dtype" || name == "shape" || name == "data_offsets";
    if (!known)
      refuse(concat_text("tensor ", quote(tensor_), " has an unknown field ", quote(name)));
    bool& seen = name == "dtype" ? has_dtype_ : name == "shape" ? has_shape_ : has_offsets_;
    if (seen) refuse(concat_text("tensor ", quote(tensor_), " states ", name, " twice"));
    seen = true;
    key_ = name;
    return true;
  }

  bool string(std::string& value) override {
    if (metadata_ && level_ == 2) {
      header_.metadata[key_] = value;
    } else if (level_ == 2 && key_ == "dtype" && !in_array_) {
      if (!find_type(value))
        refuse(concat_text("tensor ", quote(tensor_), " has the unknown type ", quote(value)));
      entry_->dtype = value;
    } else {
      misplaced("text");
    }
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    if (!in_array_) misplaced("a number");
    if (key_ == "shape") {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        refuse(concat_text("tensor ", quote(tensor_), " has a dimension of ", value));
      if (entry_->shape.size() == static_cast<size_t>(Shape::kMaxRank))
        refuse(concat_text("tensor ", quote(tensor_), " has more than ", Shape::kMaxRank,
                           " dimensions"));
      entry_->shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (offsets_ == 2) refuse(concat_text("tensor ", quote(tensor_), " has more than two offsets"));
    (offsets_++ == 0 ? entry_->begin : entry_->end) = value;
    return true;
  }

  bool start_object(std::size_t) override {
    if (in_array_ || level_ == 2 || (level_ == 1 && !entry_ && !metadata_)) misplaced("an object");
    ++level_;
    return true;
  }

  bool end_object() override {
    if (--level_ == 1) close_entry();
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != 2 || metadata_ || in_array_ || key_ == "dtype") misplaced("an array");
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    return true;
  }

  bool null() override { return misplaced("null"); }
  bool boolean(bool) override { return misplaced("a boolean"); }
  bool number_integer(int64_t) override { return misplaced("a negative number"); }
  bool number_float(double, const std::string&) override {
    return misplaced("a fraction or a number too large");
  }
  bool binary(nlohmann::json::binary_t&) override { return misplaced("binary data"); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    refuse(concat_text("its header is not valid JSON (at byte ", position, ")"));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw DataError(concat_text(path_, ": ", what));
  }

  [[noreturn]] bool misplaced(std::string_view what) const {
    if (level_ == 0) refuse(concat_text("its header is ", what, ", not an object"));
    if (metadata_)
      refuse(concat_text("metadata ", quote(key_), " is ", what, "; only text is allowed"));
    refuse(concat_text("tensor ", quote(tensor_), " is described by ", what,
                       level_ == 2 ? " in " + key_ : ""));
  }

  bool open_entry(const std::string& name) {
    tensor_ = name;
    key_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
    offsets_ = 0;
    if (name == "__metadata__") {
      if (metadata_seen_) refuse("its header has two __metadata__ objects");
      metadata_ = metadata_seen_ = true;
      return true;
    }
    const auto [place, inserted] = header_.entries.try_emplace(name);
    if (!inserted) refuse(concat_text("tensor ", quote(name), " appears twice"));
    entry_ = &place->second;
    return true;
  }

  void close_entry() {
    if (entry_ && (!has_dtype_ || !has_shape_ || offsets_ != 2))
      refuse(concat_text("tensor ", quote(tensor_), " lacks ",
                         !has_dtype_   ? "its type"
                         : !has_shape_ ? "its shape"
                                       : "its two offsets"));
    entry_ = nullptr;
    metadata_ = false;
  }

  const std::string& path_;
  SafetensorsHeader& header_;
  int level_ = 0;  // objects open
  bool in_array_ = false, metadata_ = false, metadata_seen_ = false;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  int offsets_ = 0;
  std::string tensor_, key_;
  SafetensorsEntry* entry_ = nullptr;
};

// Bytes of a tensor, or nothing when the product overflows or does not end on a byte.
std::optional<uint64_t> byte_size(const SafetensorsEntry& entry) {
  uint64_t bits = find_type(entry.dtype)->bits;
  for (const int64_t size : entry.shape)
    if (__builtin_mul_overflow(bits, static_cast<uint64_t>(size), &bits)) return {};
  if (bits % 8 != 0) return {};
  return bits / 8;
}

void check_offsets(const std::string& path, const SafetensorsHeader& header, uint64_t body_bytes) {
  std::vector<std::pair<const std::string*, const SafetensorsEntry*>> order;
  for (const auto& [name, entry] : header.entries) order.emplace_back(&name, &entry);
  std::ranges::sort(
      order, {}, [](const auto& item) { return std::pair(item.second->begin, item.second->end); });
  uint64_t expected = 0;
  for (const auto& [name, entry] : order) {
    const auto fail = [&, &name = *name](const std::string& what) {
      throw DataError(concat_text(path, ": tensor ", quote(name), " ", what));
    };
    if (entry->end < entry->begin)
      fail(concat_text("ends at byte ", entry->end, " before it begins at ", entry->begin));
    if (entry->begin != expected)
      fail(concat_text("begins at byte ", entry->begin, ", the one before ends at ", expected));
    if (entry->end > body_bytes)
      fail(concat_text("ends at byte ", entry->end, " of ", body_bytes, "; the file is cut short"));
    const auto bytes = byte_size(*entry);
    if (!bytes || *bytes != entry->end - entry->begin)
      fail(concat_text("has ", entry->end - entry->begin,
                       " bytes, which is not what its shape and type need"));
    expected = entry->end;
  }
  if (expected != body_bytes)
    throw DataError(concat_text(path, ": ", body_bytes - expected,
                                " bytes after the last tensor belong to none"));
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           uint64_t body_bytes) {
  if (!json.starts_with('{'))
    throw DataError(concat_text(path, ": is not a safetensors file (no JSON header)"));
  SafetensorsHeader header;
  HeaderReader reader(path, header);
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  check_offsets(path, header, body_bytes);
  return header;
}

size_t find_checksum_digits(std::string_view header) {
  // Within a name or a value the quotes would be escaped.
  const std::string before = concat_text('"', kChecksumKey, "\":\"", kChecksumPrefix);
  const size_t at = header.find(before);
  return at == std::string_view::npos ? at : at + before.size();
}

namespace {

// One string at a time: a tree of values ends the program where its destructor finds no memory.
std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string pack_safetensors(std::vector<SafetensorsItem> items, Metadata metadata) {
  std::ranges::sort(items, [](const SafetensorsItem& a, const SafetensorsItem& b) {
    const uint64_t bits_a = find_type(a.dtype)->bits, bits_b = find_type(b.dtype)->bits;
    return bits_a != bits_b ? bits_a > bits_b : a.name < b.name;
  });
  metadata[std::string(kChecksumKey)] = std::string(kChecksumPrefix) + checksum_text(0);
  metadata[std::string(kChecksumOfKey)] = kChecksumOf;
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata)
    text += concat_text(text.back() == '{' ? "" : ",", json_text(key), ':', json_text(value));
  text += '}';
  uint64_t offset = 0;
  std::vector<uint64_t> begins;
  for (const SafetensorsItem& item : items) {
    const uint64_t size = byte_size({item.dtype, item.shape, 0, 0}).value();
    std::string shape;
    for (const int64_t extent : item.shape) shape += concat_text(shape.empty() ? "" : ",", extent);
    text += concat_text(",", json_text(item.name), ":{\"dtype\":", json_text(item.dtype),
                        ",\"shape\":[", shape, "],\"data_offsets\":[", offset, ',', offset + size,
                        "]}");
    begins.push_back(offset);
    offset += size;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');

  const uint64_t length = text.size();
  std::string file(8 + length + offset, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(length >> (8 * i));
  text.copy(file.data() + 8, text.size());
  for (size_t i = 0; i < items.size(); ++i) items[i].fill(file.data() + 8 + length + begins[i]);
  checksum_text(checksum_of(file)).copy(&file[8 + find_checksum_digits(text)], 16);
  return file;
}

}  // namespace passband
