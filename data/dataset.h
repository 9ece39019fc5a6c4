// Labelled pictures: in memory (CIFAR, Fashion-MNIST, the built-in `shapes`), or files that are
// decoded when they are asked for (folders).
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/picture_files.h"
#include "data/preprocessing.h"
#include "data/resize.h"
#include "data/shapes.h"

namespace passband {

// The pixels of one picture: lent by the data set, or decoded for whoever asked.
class PictureBytes {
 public:
  explicit PictureBytes(const uint8_t* lent) : lent_(lent) {}
  explicit PictureBytes(std::vector<uint8_t> own) : own_(std::move(own)) {}
  const uint8_t* data() const& { return lent_ ? lent_ : own_.data(); }
  const uint8_t* data() && = delete;  // it may be gone with this
  uint8_t operator[](int64_t i) const { return data()[i]; }

 private:
  const uint8_t* lent_ = nullptr;
  std::vector<uint8_t> own_;
};

// Pictures of one size, always three channels (grey is repeated), 8 bits, NHWC.
struct Dataset {
  std::string name;   // "cifar10", or the folder's path
  std::string split;  // "train", "val" or "test"; of a folder, the name of its part
  int64_t count = 0, height = 0, width = 0;
  std::vector<uint8_t> images;  // (count, height, width, 3); of files: empty
  // (count): pictures of any size, of which image() makes centre squares of this one. Otherwise
  // empty.
  PictureFiles files = {};
  std::vector<int32_t> labels;  // (count), each in [0, classes.size()); without labels all -1
  bool labelled = true;
  std::vector<std::string> classes;  // class names by label
  // Per channel of pixel / 255, over the training pictures: a network sees (x - mean) / std.
  std::array<float, 3> mean{}, std{};
  Preprocessing preprocessing = {};             // as far as somebody asked for it
  std::vector<int32_t> shape_ids, texture_ids;  // (count) each; `shapes` only, otherwise empty

  int64_t image_bytes() const { return height * width * 3; }
  bool streamed() const { return !files.empty(); }
  // (height, width, 3). Of a file, which is decoded here: throws DataError naming it. `content`:
  // its bytes, where they have been read; they are taken.
  PictureBytes image(int64_t index, std::vector<uint8_t>* content = nullptr) const;
  // What `window` chooses of a picture of this height and width, scaled to (size, size, 3): of a
  // file, of its whole picture. Named filters give Pillow's bytes. Throws DataError likewise.
  void resize(int64_t index, const std::function<PictureWindow(int64_t, int64_t)>& window,
              uint8_t* out, int64_t size, PictureFilter filter = PictureFilter::automatic,
              std::vector<uint8_t>* content = nullptr) const;
  int64_t num_classes() const { return static_cast<int64_t>(classes.size()); }
  // The labels that occur, in order: fewer than `classes` where pictures of some are not there.
  std::vector<int32_t> shown_classes() const;
  // Each picture shows two cues that may disagree.
  bool has_cues() const { return !shape_ids.empty(); }
};

struct DataSplits {
  // `val` chooses the best weights where there is one, so that `test` is looked at once; without
  // one it holds no picture, and `test` does both.
  Dataset train, test, val = {};
  std::string left_out = {};  // what was passed over and why, with counts; empty: nothing
  std::string remark = {};    // what else a person should know of how they are read
};

// One line: classes, pictures of each split, what was left out.
std::string what_was_found(const DataSplits& splits);

// How the pictures of a data set come.
enum class DataForm : uint8_t {
  files,      // in a format of the set's own
  folders,    // one picture a file, one folder a class
  shards,     // members of tar files
  drawn,      // made when asked for
  described,  // not at all: classes and normalisation, for who brings other pictures
};

// What is known about a data set without opening any file.
struct DatasetInfo {
  std::string name;
  int64_t classes = 0, height = 0, width = 0, channels = 3;  // the size a network sees by default
  std::array<float, 3> mean{}, std{};
  int64_t train_count = 0, test_count = 0;
  std::string source;  // where the pictures come from, one phrase
  DataForm form = DataForm::files;
};

struct DatasetRequest {
  // Of list_datasets(), a folder of pictures (folder_layout.h), or tar shards (shard_names.h).
  std::string name = "cifar10";
  std::filesystem::path data_dir =
      {};                     // empty: $PASSBAND_DATA, then data/downloads/ of the repository
  int64_t image_size = 0;     // side a network will see; 0: the set's own (dataset_info)
  ShapesOptions shapes = {};  // for "shapes"; image_size, when given, wins over shapes.size
  // > 0: that share of every class's training pictures is held out (see hold_out) and becomes
  // `val`, or `test` where the set has no other pictures.
  double val_split = 0;
  uint64_t val_seed = 0;
  bool skip_bad_pictures = false;  // of a folder or of shards: leave them out and count them
  // false: for who only shows pictures. `train` may then be empty, and pictures that are not
  // divided at all are test pictures.
  bool training = true;
  // How a network of image_size is shown them. Pictures in memory come to that size by the filter,
  // where one is named: those to test by as preprocess() has it, those to train on, of which crops
  // are taken, whole.
  Preprocessing preprocessing = {};
};

// Every known name, `imagenet` (a description only) included.
std::vector<DatasetInfo> list_datasets();

// Description of a known name, without files; of a folder, from its class folders and file names
// (no picture is decoded); of tar shards, from their index. Throws UsageError with the nearest
// known name when `name` is neither, DataError when it is a path that leads to no folder.
DatasetInfo dataset_info(const std::string& name);
// The same with what the request says about the pictures: their size, the classes that are drawn.
DatasetInfo dataset_info(const DatasetRequest& request);
// The classes and the normalisation of a set as splits without a picture.
DataSplits described_dataset(const DatasetInfo& info);

// Reads all splits into memory, but for folders and shards: their pictures are checked, and decoded
// when one is asked for, so that memory does not grow with them (but for their names and places).
// Pictures of fixed-size sets are resized to image_size when it differs from their own, or a filter
// is named. Pictures of folders are shown as squares of stored_size(image_size), so that crops have
// a margin; a resized crop is one of the whole picture. A data_dir that is given must hold the set
// (or be its folder); otherwise all places of the search order are tried. Throws DataError (one
// line: file, expected, found, way out) for missing, truncated, wrong or unreadable files.
DataSplits load_dataset(const DatasetRequest& request);

// All pictures in and below a folder, whatever it is called, as test pictures without labels;
// `classes` are of the network that will see them. Throws DataError where there is none.
DataSplits load_unlabelled(const std::filesystem::path& folder, std::vector<std::string> classes,
                           int64_t image_size, bool skip_bad_pictures = false);

// The folder that holds a known set of files. Throws DataError that says where was looked and how
// to get it.
std::filesystem::path find_dataset(const std::string& name,
                                   const std::filesystem::path& data_dir = {});

// Side of the stored square for pictures of varying size: 8/7 of the network's (256 for 224).
constexpr int64_t stored_size(int64_t image_size) { return (image_size * 8 + 3) / 7; }

}  // namespace passband
