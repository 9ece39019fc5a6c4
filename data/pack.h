// Writing tar shards from a folder of pictures.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace passband {

struct PackOptions {
  // Of the training pictures; 0: so many that none is larger than 500 MB, at least four (of other
  // splits one).
  int64_t shards = 0;
  bool shuffle = false;  // in an order drawn by `seed`, in place of the folder's
  uint64_t seed = 0;
  bool skip_bad_pictures = false;  // leave them out and count them
  bool write = true;               // false: look at everything, and say what would be written
  // Called now and then with how many pictures are written; false stops.
  std::function<bool(int64_t done, int64_t all)> progress = {};
};

struct PackedSplit {
  std::string name;  // "train", "val", "valid", "validation" or "test"
  int64_t shards = 0, pictures = 0;
  // "train-{000000..000003}.tar", to be read again
  std::string pattern;
};

struct Packed {
  std::vector<PackedSplit> splits;
  std::vector<std::string> classes;
  int64_t bytes = 0;
  std::string left_out;  // what was passed over and why, with counts
};

// Writes OUT/<split>-000000.tar ... and OUT/classes.txt from the pictures of a folder (see
// read_image_folder): KEY.jpg or KEY.png, the file as it is, and KEY.cls, the number of its class.
// KEY counts the pictures of a split, in the order that the folder has when it is read, or a drawn
// one; class folders without splits are `train`. The bytes depend on the pictures and options
// alone. OUT must not be there, or be empty: it is written beside itself and renamed at the end, so
// that it holds all or nothing; what a killed program left of that is removed. Nothing when
// `progress` stopped it. Throws UsageError and DataError for OUT and the folder, Error when writing
// fails or the disk has too little room.
std::optional<Packed> pack_folder(const std::filesystem::path& folder,
                                  const std::filesystem::path& out, const PackOptions& options);

}  // namespace passband
