// The index of a folder's tar shards: what each holds, kept in a file, so that no shard is read
// from end to end twice.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shard_contents.h"

namespace passband {

constexpr const char* kShardIndex = ".passband-index";  // in the folder of the shards

using ShardIndex = std::map<std::string, ShardContents>;  // by the name of the shard's file

// The bytes of an index file: "passband shards 2\n", the checksum of the class names that labels
// were read by, the shards, and at last the XXH64 of all that.
std::string shard_index_bytes(const ShardIndex& index, uint64_t classes);
// Nothing for bytes that are damaged or of another version; no shards where the classes are others.
std::optional<ShardIndex> parse_shard_index(std::string_view bytes, uint64_t classes);

struct ReadShards {
  std::vector<ShardContents> contents;  // of each shard, in the order in which they were asked for
  std::string remark;                   // what a person should know of the index; mostly empty
};

// What these shards hold: as the index of their folder has it where it is still valid, else as
// they are read now, on all threads; then the index is written anew, whole or not at all. Where the
// folder cannot be written to, it lies in $XDG_CACHE_HOME/passband (or ~/.cache/passband), and
// where that cannot be either, there is none. Throws as read_shard does.
ReadShards contents_of_shards(const std::vector<std::filesystem::path>& shards, ShardCheck check,
                              const std::vector<std::string>& classes);

}  // namespace passband
