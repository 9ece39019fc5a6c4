// What a tar shard in WebDataset's form holds: files of one name before the first point, one after
// the other, are a sample: KEY.jpg (or .jpeg, .png) with KEY.cls or KEY.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace passband {

struct ShardPicture {
  int64_t offset = 0;  // of its bytes in the shard
  int32_t bytes = 0, label = 0;
  // What tells it from others: by the name of the member and its size; by its bytes, where these
  // were read (otherwise 0).
  uint64_t named = 0, content = 0;
  int32_t lead = 0;  // bytes from its first header to its content

  bool operator==(const ShardPicture&) const = default;
};

// A sample that cannot be read, or the place from which on a shard cannot.
struct ShardFault {
  int64_t offset = 0;
  std::string member, reason;

  bool operator==(const ShardFault&) const = default;
};

// What is no picture, by reason: how many, and the first.
struct ShardRest {
  std::string reason, first;
  int64_t count = 0;

  bool operator==(const ShardRest&) const = default;
};

// How far the pictures were looked at: sizes alone; all bytes, and their structure; decoded.
enum class ShardCheck : uint8_t { size, structure, data };

struct ShardContents {
  // Of the file when it was read: its bytes, its last change, when that was (both in nanoseconds
  // since 1970).
  int64_t bytes = 0, modified = 0, read_at = 0;
  ShardCheck check = ShardCheck::size;
  std::vector<ShardPicture> pictures;
  std::vector<ShardFault> faults;
  std::vector<ShardRest> rest;

  bool operator==(const ShardContents&) const = default;
};

// Reads a shard from its beginning to its end. Labels are numbers from 0 on, or names of `classes`:
// what KEY.cls holds, or of KEY.json's "label", "cls", "class_id", "class" or "target" the first
// that is there. `classes` empty: any number up to kMostClasses. Links and devices are passed over.
// A picture without a label, or a key that comes twice, is a fault; so is a damaged archive, of
// which the part before the damage counts. Throws DataError when the file cannot be opened.
ShardContents read_shard(const std::filesystem::path& path, ShardCheck check,
                         const std::vector<std::string>& classes);

constexpr int64_t kMostClasses = 1'000'000;

// Whether contents that were read before are those of the file as it is now, with its pictures
// looked at as far as `check` asks for.
bool still_valid(const ShardContents& contents, const std::filesystem::path& path,
                 ShardCheck check);
// Whether size and time of change will tell a later change: they may not, of a file that was read
// within two seconds after the one before. Clocks of file systems are coarse.
bool tells_changes(const ShardContents& contents);

}  // namespace passband
