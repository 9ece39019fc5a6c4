// Which tar shards a name stands for: a path with ranges, lists and wildcards, or a folder of them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace passband {

struct ShardSplit {
  std::string name;                           // "train", "val", ...; "all" where names tell none
  std::vector<std::filesystem::path> shards;  // in the order of the pattern; of a folder, of bytes
};

struct ShardNames {
  std::filesystem::path folder;  // that holds the first of them
  ShardSplit train, val, test;   // without shards where there are none
};

// Whether a name is one of shards: it ends in .tar and is no folder, or is a folder that holds
// files *.tar and no folders.
bool names_shards(const std::string& name);

// Every path that "a/{x,y}-{000..127}.tar" stands for, in order: bash's lists and ranges of
// numbers, of which a leading zero keeps the width. Throws UsageError for braces that are neither,
// and for more than a million paths.
std::vector<std::string> expand_braces(const std::string& pattern);

// The shards of a name that names_shards. Of a pattern: those it stands for, `*`, `?` and `[a-z]`
// in its last part included. Where their names say "train", those beside them that say "val",
// "valid" or "validation", and "test", in its place are the other splits; else all are `train`.
// Of a folder likewise, by the names that are there. Throws DataError for a shard that is not
// there, and a pattern that stands for none.
ShardNames find_shards(const std::string& name);
// Whether a name is one of shards, and all are there.
bool finds_shards(const std::string& name);

}  // namespace passband
