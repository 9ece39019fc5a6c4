// Data sets of tar shards in WebDataset's form.
#pragma once
#include <cstdint>
#include <string>

#include "data/dataset.h"
#include "data/readers.h"

namespace passband {

// The pictures of the shards that a name stands for (data/shard_names.h), as members that are
// decoded when asked for: each is then cut to a square of `side` pixels. They are numbered in the
// order of shards and, within one, of members. classes.txt (or classnames.txt) beside the shards
// names the classes, one a line; without it they are numbered up to the largest label. A val is
// `test` where there is no test. Shards are looked at as folders are (data/readers.h); what they
// hold is kept in an index (data/shard_index.h), and `left_out` says where that could not be.
// Throws DataError naming shard, offset and member of all samples that cannot be read, unless
// skip_bad_pictures leaves them out.
DataSplits read_shards(const std::string& name, int64_t side, bool skip_bad_pictures = false);

// Class names and picture counts alone.
FolderSummary summarise_shards(const std::string& name, bool skip_bad_pictures = false);

}  // namespace passband
