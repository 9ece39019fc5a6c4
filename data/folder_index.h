// The index of a large folder of pictures: what lies where in it, kept in a file, so that the
// folder is not looked through twice.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/folder_layout.h"
#include "data/shard_contents.h"

namespace passband {

// Of fewer pictures there is none: they are looked at each time.
constexpr int64_t kIndexedPictures = 4096;

// A picture file as it was when it was looked at.
struct LookedAt {
  std::string reason;               // why it cannot be read; empty: it can
  int64_t bytes = 0, modified = 0;  // modified: nanoseconds since 1970
  uint64_t named = 0, content = 0;  // what tells it from others, by name and size; by its bytes
};

struct FolderContents {
  FolderLayout layout;
  ShardCheck check = ShardCheck::size;               // how far the pictures were looked at
  std::array<std::vector<LookedAt>, 3> looked = {};  // at the files of train, val and test
};

// Bytes and time of the last change of a file; nothing where there is none.
struct FileState {
  int64_t bytes = 0, modified = 0;
  bool operator==(const FileState&) const = default;
};
std::optional<FileState> state_of_file(const std::filesystem::path& path);

// What the index of a folder says, if all that it names is as it was: which entries the root has,
// the last change of each folder below it, of every picture that could not be read, and of up to
// kIndexedPictures others, evenly spread (of more, one that is changed where it lies is found when
// it is decoded). Nothing without an index, or with a damaged one.
std::optional<FolderContents> load_folder_index(const std::filesystem::path& root);

// Keeps the index of a folder that was looked through beginning at `began` (nanoseconds since
// 1970), whole or not at all: in the folder, or else in the cache (data/index_file.h); nowhere for
// one of up to kIndexedPictures, or with a folder that changed within two seconds before, whose
// next change might not be told. Returns a remark where it does not lie in the folder.
std::string keep_folder_index(const std::filesystem::path& root, const FolderContents& contents,
                              int64_t began);

}  // namespace passband
