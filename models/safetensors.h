// The safetensors container: u64 header length, JSON header, bytes
// (github.com/huggingface/safetensors). Everything a file claims is checked before memory is taken
// for it; what is wrong is a one-line DataError naming file and tensor. What is written here
// carries a checksum in its metadata, and is read only if it agrees; a file without one is read as
// it is.
#pragma once
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/tensor_file.h"
#include "models/weights.h"

namespace passband {

// A tensor as the header describes it. Offsets count from the end of the header.
struct SafetensorsEntry {
  std::string dtype;           // "F32"
  std::vector<int64_t> shape;  // at most 8 dimensions
  uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> entries;
  Metadata metadata;
};

// Reads and checks a header: JSON object without duplicate keys, only known keys and types, offsets
// that begin at 0 and leave neither hole nor overlap, sizes that equal shape times element, and
// `body_bytes` bytes in all.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           uint64_t body_bytes);

// An open file whose header, and checksum if it has one, have been checked.
class SafetensorsFile final : public TensorFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::map<std::string, SafetensorsEntry>& entries() const { return header_.entries; }
  Tensor read(const std::string& name, DType target) override;
  // As stored; F16 becomes f32, BOOL u8, I64 i32 (out of range throws).
  Tensor read(const std::string& name);

 private:
  void check_checksum(std::string header);
  const SafetensorsEntry& entry(const std::string& name) const;
  std::string bytes_of(const SafetensorsEntry& entry);

  std::ifstream file_;
  uint64_t body_ = 0;  // where the bytes begin
  SafetensorsHeader header_;
};

// A tensor to be written: `fill` puts its bytes in place.
struct SafetensorsItem {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::function<void(char*)> fill;
};

// Keys of __metadata__ that a file written here has: XXH64 of the whole file while its 16 digits
// are zeros, and a sentence that says so. Two keys, so that no single damaged byte makes the file
// look as if it had none. They are not among the metadata that are read.
inline constexpr std::string_view kChecksumKey = "passband_checksum", kChecksumPrefix = "xxh64:",
                                  kChecksumOfKey = "passband_checksum_of",
                                  kChecksumOf = "this file with the 16 digits as zeros";
// Where the digits stand in a header; npos when it has none.
size_t find_checksum_digits(std::string_view header);

// The bytes of a file: tensors by element size descending, then name; header padded with spaces to
// a multiple of 8.
std::string pack_safetensors(std::vector<SafetensorsItem> items, Metadata metadata);

}  // namespace passband
