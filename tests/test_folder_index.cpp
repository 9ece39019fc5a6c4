// The index of a large folder: used while nothing has changed, made anew when something has.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "data/dataset.h"
#include "data/fingerprint.h"
#include "data/folder_index.h"
#include "tests/picture_files.h"
#include "tests/shard_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

constexpr int kPictures = 4200;

void make_all_old(const fs::path& root, int seconds = 10) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root))
    make_old(entry.path(), seconds);
}

// train/cat, train/dog with so many pictures together, val with two, and a hidden file.
void write_folder(const TemporaryFolder& folder) {
  write_png(folder / "one.png", 8, 8, 3, colour(8, 8, {9, 0, 0}));
  for (const char* kind : {"cat", "dog"}) {
    fs::create_directories(folder / "f/train" / kind);
    write_png(folder / "f/val" / kind / "v.png", 8, 8, 3, colour(8, 8, {9, 9, 0}));
  }
  for (int i = 0; i < kPictures; ++i)
    fs::create_hard_link(folder / "one.png",
                         folder / "f/train" / (i % 2 ? "cat" : "dog") / concat_text(i, ".png"));
  write_text(folder / "f/train/cat/.hidden", "x");
  make_all_old(folder / "f");
}

DataSplits load(const TemporaryFolder& folder) {
  return load_dataset({.name = (folder / "f").string(), .image_size = 8});
}

}  // namespace

TEST_CASE("a large folder is read from its index, the same, until something changes") {
  const TemporaryFolder folder;
  write_folder(folder);
  const fs::path index = folder / "f" / kFolderIndex, cats = folder / "f/train/cat";
  const DataSplits first = load(folder);
  CHECK(first.train.count == kPictures);
  CHECK(first.remark.empty());
  REQUIRE(fs::exists(index));
  const std::string bytes = text_of(index);
  const DataSplits again = load(folder);
  CHECK(text_of(index) == bytes);
  CHECK(fingerprint(again.train) == fingerprint(first.train));
  CHECK(fingerprint(again.test) == fingerprint(first.test));
  CHECK(what_was_found(again) == what_was_found(first));
  for (const int64_t i : {0, 17, kPictures - 1})
    CHECK(again.train.files.name(i) == first.train.files.name(i));
  CHECK(dataset_info((folder / "f").string()).train_count == kPictures);
  // One more that no time tells is not looked for ...
  const auto before = fs::last_write_time(cats);
  fs::create_hard_link(folder / "one.png", cats / "more.png");
  fs::last_write_time(cats, before);
  CHECK(load(folder).train.count == kPictures);
  // ... one that the folder's time tells is.
  make_old(cats, 5);
  CHECK(load(folder).train.count == kPictures + 1);
  CHECK(text_of(index) != bytes);
  // A new class, one that is gone.
  write_png(folder / "f/train/eel/1.png", 8, 8, 3, colour(8, 8, {1, 0, 0}));
  make_all_old(folder / "f", 20);
  CHECK(load(folder).train.num_classes() == 3);
  fs::remove_all(folder / "f/train/eel");
  CHECK(load(folder).train.num_classes() == 2);
}

TEST_CASE("a picture changed where it lies, a bad one and a damaged index are seen") {
  const TemporaryFolder folder;
  write_folder(folder);
  const fs::path index = folder / "f" / kFolderIndex, one = folder / "f/val/cat/v.png";
  const uint64_t print = fingerprint(load(folder).test);
  const std::string bytes = text_of(index), good = text_of(one);
  write_text(one, "no picture");
  make_old(one, 7);
  const std::string error = message_of<DataError>([&] { load(folder); });
  CHECK(contains(error, "v.png: unreadable picture: neither PNG nor JPEG"));
  CHECK(message_of<DataError>([&] { load(folder); }) == error);
  write_text(one, good);
  make_old(one, 6);
  CHECK(fingerprint(load(folder).test) == print);
  std::string damaged = text_of(index);
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  for (const std::string& wrong : {damaged, damaged.substr(0, 99), std::string("x")}) {
    write_text(index, wrong);
    CHECK(load(folder).train.count == kPictures);
    CHECK(text_of(index).size() == bytes.size());
    CHECK(load_folder_index(folder / "f").has_value());
  }
}

TEST_CASE("where a folder takes no index it lies in the cache, or nowhere, and it is said") {
  const TemporaryFolder folder;
  write_folder(folder);
  fs::create_directories(folder / "f" / kFolderIndex / "in the way");
  REQUIRE(setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1) == 0);
  CHECK(contains(load(folder).remark, "cannot be written to: the index of its pictures lies in "));
  CHECK(load(folder).remark.empty());  // it is used
  write_text(folder / "no", "");
  REQUIRE(setenv("XDG_CACHE_HOME", (folder / "no").c_str(), 1) == 0);
  CHECK(contains(load(folder).remark, "no index of the pictures is kept"));
  CHECK(load(folder).train.count == kPictures);
  unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("two that make an index at once leave a whole one; small folders have none") {
  const TemporaryFolder folder;
  write_folder(folder);
  {
    std::jthread other([&] { CHECK(load(folder).train.count == kPictures); });
    CHECK(load(folder).train.count == kPictures);
  }
  CHECK(load_folder_index(folder / "f").has_value());
  fs::remove(folder / "f" / kFolderIndex);
  for (int i = 0; i < 200; ++i)
    fs::remove(folder / "f/train" / (i % 2 ? "cat" : "dog") / concat_text(i, ".png"));
  make_all_old(folder / "f");
  CHECK(load(folder).train.count == kPictures - 200);
  CHECK(!fs::exists(folder / "f" / kFolderIndex));
}
