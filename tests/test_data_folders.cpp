// Folders of pictures: layouts, splits, what is left out, and what is refused.
#include <doctest/doctest.h>

#include <set>

#include "data/folder_layout.h"
#include "data/image.h"
#include "data/readers.h"
#include "data/subset.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

std::string load_error(const fs::path& folder) {
  return message_of<DataError>([&] { load_dataset({.name = folder.string(), .image_size = 8}); });
}

// A picture of one colour, whose red tells it from others.
void write_red(const fs::path& path, int red) {
  write_png(path, 8, 8, 3, colour(8, 8, {static_cast<uint8_t>(red), 0, 0}));
}

std::string found_in(const fs::path& folder, const DatasetRequest& request = {}) {
  DatasetRequest full = request;
  full.name = folder.string();
  full.image_size = 8;
  const std::string text = what_was_found(load_dataset(full));
  CHECK(text.starts_with(folder.string() + ": "));
  return text.substr(folder.string().size() + 2);
}

std::set<int> reds(const Dataset& data) {
  std::set<int> values;
  for (int64_t i = 0; i < data.count; ++i) values.insert(data.image(i)[0]);
  return values;
}

// Two classes, two splits, one picture each.
void write_small_folder(const fs::path& root) {
  for (const char* split : {"train", "val"}) {
    write_png(root / split / "ant" / "1.png", 10, 10, 3, colour(10, 10, {200, 10, 10}));
    write_jpeg(root / split / "Bee" / "1.JPEG", 24, 16, 3, colour(24, 16, {10, 10, 200}));
  }
}

}  // namespace

TEST_CASE(
    "an image folder gives classes in byte order, RGB pictures, and the square size asked for") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  write_png(folder / "train" / "ant" / "grey.png", 30, 10, 1, std::vector<uint8_t>(300, 120));
  write_png(folder / "train" / "ant" / "alpha.PNG", 9, 9, 4, std::vector<uint8_t>(9 * 9 * 4, 60));
  write_bytes(folder / "train" / "ant" / "notes.txt", {1, 2, 3});
  write_bytes(folder / "train" / "ant" / ".DS_Store", {1, 2, 3});
  const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 14});
  CHECK(splits.train.classes == std::vector<std::string>{"Bee", "ant"});
  CHECK(splits.train.height == stored_size(14));
  CHECK(splits.train.labels == std::vector<int32_t>{0, 1, 1, 1});
  CHECK(splits.test.count == 2);
  const int64_t middle = (8 * 16 + 8) * 3;
  CHECK(std::abs(splits.train.image(0)[middle + 2] - 200) < 8);  // JPEG
  CHECK(splits.train.image(1)[middle] == 200);  // 1.png comes before alpha.PNG and grey.png
  CHECK(splits.train.image(2)[middle] == 60);
  for (int c = 0; c < 3; ++c) CHECK(splits.train.image(3)[middle + c] == 120);
  const DatasetInfo info = dataset_info(folder.path().string());
  CHECK(info.classes == 2);
  CHECK(info.train_count == 4);
}

TEST_CASE("unreadable pictures are errors that name the file") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  const fs::path bad = folder / "train" / "ant" / "2.jpg";
  write_bytes(bad, {});
  CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: the file is empty"));
  write_bytes(bad, {'h', 'e', 'l', 'l', 'o'});
  CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: neither PNG nor JPEG"));

  std::vector<uint8_t> noise(64 * 64 * 3);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  write_jpeg(bad, 64, 64, 3, noise);
  std::vector<uint8_t> file = read_bytes(bad);
  write_bytes(bad, {file.begin(), file.begin() + std::ssize(file) / 2});
  CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: the JPEG is truncated"));
  for (const size_t fill : {1, 2, 5}) {
    std::vector<uint8_t> filled = file;
    filled.insert(filled.begin(), fill, uint8_t{0xFF});
    write_bytes(bad, filled);
    CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: neither PNG nor JPEG"));
  }
  const std::vector<uint8_t> tables = {0xFF, 0xC4};
  const auto counts = std::ranges::search(file, tables).begin() + 5;  // after length and table id
  std::fill(counts, counts + 16, uint8_t{255});
  write_bytes(bad, file);
  CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: the Huffman tables"));
  write_png(bad, 64, 64, 3, noise);
  file = read_bytes(bad);
  for (const ptrdiff_t share : {2, 3, 5}) {
    write_bytes(bad, {file.begin(), file.begin() + std::ssize(file) / share});
    CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: the PNG is truncated"));
  }
}

TEST_CASE("a picture that claims to be huge is refused before it is decoded") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  std::vector<uint8_t> file = read_bytes(folder / "a.png");
  // 12288 x 12288: each side is allowed, the area is not
  const std::vector<uint8_t> side = {0, 0, 0x30, 0};
  std::copy(side.begin(), side.end(), file.begin() + 16);
  std::copy(side.begin(), side.end(), file.begin() + 20);
  write_bytes(folder / "a.png", file);
  CHECK(contains(message_of<DataError>([&] { read_image(folder / "a.png"); }),
                 "12288 x 12288 pixels, the limit is"));
}

TEST_CASE("folders of the wrong form are refused with the reason") {
  const TemporaryFolder folder;
  CHECK(contains(load_error(folder.path()),
                 "expected train/<class>/<picture> and val/<class>/<picture>"));
  fs::create_directories(folder / "train");
  fs::create_directories(folder / "test");
  CHECK(contains(load_error(folder.path()), "train: expected one folder per class, found 0"));
  fs::create_directories(folder / "train" / "a");
  fs::create_directories(folder / "train" / "b");
  CHECK(contains(load_error(folder.path()), "train: no pictures of classes \"a\", \"b\""));
  write_png(folder / "train" / "a" / "1.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  CHECK(contains(load_error(folder.path()), "train: no pictures of class \"b\""));
  write_png(folder / "train" / "b" / "1.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  write_png(folder / "test" / "c" / "1.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  CHECK(contains(load_error(folder.path()), "c: no such class in train/"));
  fs::create_directories(folder / "validation");
  fs::create_directories(folder / "valid");
  CHECK(contains(load_error(folder.path()), "has both valid/ and validation/"));
}

TEST_CASE("pictures lie in folders below their class and are told by name or content") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  write_red(folder / "train" / "ant" / "deep" / "er" / "2.PNG", 1);
  write_red(folder / "train" / "ant" / "no-ending", 2);
  write_red(folder / "train" / "ant" / "a.dat", 3);
  write_jpeg(folder / "train" / "ant" / "b.jfif", 8, 8, 3, colour(8, 8, {250, 250, 250}));
  write_png(folder / "train" / "ant" / "__MACOSX" / "c.png", 8, 8, 3, colour(8, 8, {9, 9, 9}));
  write_bytes(folder / "train" / "@eaDir" / "d.png", {1});
  write_bytes(folder / "train" / "ant" / "notes.txt", {'h', 'i'});
  write_bytes(folder / "train" / "loose.png", {1});
  fs::create_directory_symlink("..", folder / "train" / "ant" / "deep" / "circle");
  fs::create_directories(folder / "extra");
  const std::string text = found_in(folder.path());
  CHECK(text ==
        "2 classes; train 6 pictures, val 2; left out: no split: 1 (extra); "
        "hidden: 2 (train/@eaDir, train/ant/__MACOSX); "
        "a link to a folder above it: 1 (train/ant/deep/circle); "
        "no picture: 1 (train/ant/notes.txt); in no class folder: 1 (train/loose.png)");
  const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 8});
  for (const int red : {1, 2, 3}) CHECK(reds(splits.train).contains(red));
  CHECK(dataset_info(folder.path().string()).train_count == 6);
}

TEST_CASE("unreadable pictures of all splits are named at once, or left out and counted") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  const auto write_text = [&](const char* split, const char* name, const std::string& text) {
    write_bytes(folder / split / "ant" / name, {text.begin(), text.end()});
  };
  using namespace std::string_literals;
  write_text("train", "zero.jpg", "");
  write_text("train", "web.jpg", "RIFF\x24\0\0\0WEBPVP8 "s);
  write_text("train", "film.png", "GIF89a\1\0\1\0\0\0\0;"s);
  write_text("val", "map.jpg", "BM\x3a\0\0\0"s);
  write_text("val", "scan", "II*\0aaaa"s);
  fs::create_symlink("nowhere.jpg", folder / "val" / "ant" / "gone.jpg");
  const std::string error = load_error(folder.path());
  CHECK(contains(error, "6 unreadable pictures: "));
  for (const char* part :
       {"train/ant/zero.jpg (the file is empty)", "web.jpg (by its content it is a WebP picture",
        "film.png (by its content it is a GIF picture", "map.jpg (by its content it is a BMP",
        "val/ant/scan (by its content it is a TIFF picture", "gone.jpg (cannot be read: No such",
        "--skip-bad-pictures"})
    CHECK_MESSAGE(contains(error, part), error);
  CHECK(!contains(error, "\n"));
  CHECK(found_in(folder.path(), {.skip_bad_pictures = true}) ==
        "2 classes; train 2 pictures, val 2; left out: unreadable: 6 (train/ant/film.png, "
        "train/ant/web.jpg, train/ant/zero.jpg, ...)");
  const DataSplits splits =
      load_dataset({.name = folder.path().string(), .image_size = 8, .skip_bad_pictures = true});
  CHECK(splits.train.labels == std::vector<int32_t>{0, 1});
  CHECK(splits.train.files.size() == 2u);
  CHECK(splits.train.image(1)[0] == 200);  // after three that are gone
  write_text("train", "1.png", "");
  CHECK(contains(message_of<DataError>([&] {
                   load_dataset({.name = folder.path().string(), .skip_bad_pictures = true});
                 }),
                 "no readable picture of class \"ant\" in train/"));
}

TEST_CASE("any changed byte of a PNG file is found, and a missing end is named") {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.png";
  std::vector<uint8_t> noise(16 * 16 * 3);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  write_png(path, 16, 16, 3, noise);
  const std::vector<uint8_t> good = read_bytes(path);
  const auto error = [&](const std::vector<uint8_t>& bytes) {
    write_bytes(path, bytes);
    return message_of<UnreadablePicture>([&] { read_image(path); });
  };
  CHECK(error(good).empty());
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<uint8_t> bad = good;
    bad[at] ^= 0x20;
    CHECK_MESSAGE(!error(bad).empty(), "byte ", at);
  }
  std::vector<uint8_t> bad = good;
  bad[60] ^= 1;
  CHECK(contains(error(bad),
                 "a.png: unreadable picture: the PNG is damaged (the checksum of its "
                 "IDAT chunk does not match)"));
  for (const ptrdiff_t cut : {1, 12, 13, 100})
    CHECK(contains(error({good.begin(), good.end() - cut}),
                   "the PNG is truncated (it has no IEND chunk)"));
}

TEST_CASE("with train, val and test the pictures of val choose and those of test are kept apart") {
  for (const char* name : {"val", "valid", "validation", "Valid"}) {
    const TemporaryFolder folder;
    for (const char* kind : {"cat", "dog"}) {
      write_red(folder / "train" / kind / "1.png", 10);
      write_red(folder / name / kind / "1.png", 20);
      write_red(folder / name / kind / "2.png", 21);
    }
    CHECK(found_in(folder.path()) == concat_text("2 classes; train 2 pictures, ", name, " 4"));
    write_red(folder / "test" / "dog" / "1.png", 30);
    const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 8});
    CHECK(reds(splits.train) == std::set{10});
    CHECK(reds(splits.val) == std::set{20, 21});
    CHECK(reds(splits.test) == std::set{30});
    CHECK(splits.test.labels == std::vector<int32_t>{1});
    CHECK(found_in(folder.path()) ==
          concat_text("2 classes; train 2 pictures, ", name, " 4, test 1; ", name,
                      " chooses the best weights, test is looked at once"));
    CHECK(contains(message_of<UsageError>(
                       [&] { load_dataset({.name = folder.path().string(), .val_split = 0.1}); }),
                   "--val-split: "));
  }
}

TEST_CASE("a test folder without labels is left out, and so is a folder that train does not know") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  write_red(folder / "test" / "1.png", 1);
  CHECK(found_in(folder.path()) ==
        "2 classes; train 2 pictures, val 2; left out: without labels: 1 (test)");
  fs::rename(folder / "val", folder / "elsewhere");
  CHECK(
      contains(load_error(folder.path()), "test: holds no PNG or JPEG pictures in class folders"));
}

TEST_CASE("Tiny ImageNet's validation pictures get their labels from val_annotations.txt") {
  const TemporaryFolder folder;
  for (const char* kind : {"n01", "n02"})
    write_red(folder / "train" / kind / "images" / "a.PNG", 1);
  for (const int i : {0, 1, 2})
    write_red(folder / "val" / "images" / concat_text("val_", i, ".JPEG"), 10 + i);
  write_red(folder / "test" / "images" / "test_0.JPEG", 99);
  std::ofstream(folder / "val" / "val_annotations.txt")
      << "val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n";
  CHECK(found_in(folder.path()) ==
        "2 classes; train 2 pictures, val 2; left out: not in val_annotations.txt: 1 "
        "(val/images/val_2.JPEG); without labels: 1 (test)");
  const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 8});
  CHECK(splits.test.labels == std::vector<int32_t>{0, 1});
  CHECK(splits.test.image(0)[0] == 11);
  CHECK(splits.test.image(1)[0] == 10);
  std::ofstream(folder / "val" / "val_annotations.txt") << "val_0.JPEG\tn09\n";
  CHECK(contains(load_error(folder.path()), "val_annotations.txt:1: no class \"n09\" in train/"));
}

TEST_CASE("--val-split holds out a share of every class, the same one for the same seed") {
  const TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) write_red(folder / "cat" / concat_text(i, ".png"), i);
  for (int i = 0; i < 6; ++i) write_red(folder / "dog" / concat_text(i, ".png"), 100 + i);
  const std::string name = folder.path().string();
  CHECK(contains(load_error(folder.path()), "of its 26 pictures give --val-split 0.1"));
  const auto load = [&](double share, uint64_t seed) {
    return load_dataset({.name = name, .image_size = 8, .val_split = share, .val_seed = seed});
  };
  const DataSplits splits = load(0.1, 0);
  CHECK(what_was_found(splits) == name + ": 2 classes; all 23 pictures, val 3");
  CHECK(std::ranges::count(splits.test.labels, 0) == 2);
  CHECK(std::ranges::count(splits.test.labels, 1) == 1);
  std::set<int> both = reds(splits.train);
  for (const int red : reds(splits.test)) CHECK(both.insert(red).second);
  CHECK(both.size() == 26);
  CHECK(reds(load(0.1, 0).test) == reds(splits.test));
  CHECK(reds(load(0.1, 1).test) != reds(splits.test));
  CHECK(contains(message_of<DataError>([&] { load(0.95, 0); }),
                 "class \"dog\" has 6 pictures; --val-split 0.95 leaves none"));

  // Where there are test pictures, what is held out chooses and they stay apart.
  for (const char* kind : {"cat", "dog"})
    fs::create_directories(folder / "train"), fs::rename(folder / kind, folder / "train" / kind);
  write_red(folder / "test" / "cat" / "1.png", 200);
  const DataSplits three = load(0.5, 3);
  CHECK(three.val.count == 13);
  CHECK(three.train.count == 13);
  CHECK(reds(three.test) == std::set{200});
  CHECK(contains(what_was_found(three), "train 13 pictures, val 13, test 1"));
}

TEST_CASE("who only shows pictures needs no training pictures") {
  const TemporaryFolder folder;
  write_small_folder(folder.path());
  fs::remove_all(folder / "train");
  CHECK(contains(load_error(folder.path()), "has val/ but no train/ to learn from"));
  const DatasetRequest show{.name = folder.path().string(), .image_size = 8, .training = false};
  const DataSplits splits = load_dataset(show);
  CHECK(splits.test.count == 2);
  CHECK(splits.train.count == 0);
  CHECK(splits.train.num_classes() == 2);
  CHECK(dataset_info(folder.path().string()).classes == 2);
  for (const char* kind : {"ant", "Bee"}) fs::rename(folder / "val" / kind, folder / kind);
  fs::remove_all(folder / "val");
  CHECK(load_dataset(show).test.count == 2);
}

TEST_CASE("classes called train, test or val are classes when they hold pictures") {
  const TemporaryFolder folder;
  for (const char* kind : {"bus", "train"})
    for (const char* file : {"1.png", "2.png"}) write_red(folder / kind / file, 1);
  CHECK(found_in(folder.path(), {.val_split = 0.5}) == "2 classes; all 2 pictures, val 2");
}

TEST_CASE("a path that leads to no folder is missing data, an archive says how to unpack it") {
  const TemporaryFolder folder;
  const auto error = [](const std::string& name) {
    return message_of<DataError>([&] { dataset_info(name); });
  };
  CHECK(error("./no/such/folder") == "./no/such/folder: no such folder");
  CHECK(error("cifar-10-binary.tar.gz") == "cifar-10-binary.tar.gz: no such file");
  const std::string archive = (folder / "cifar-10-python.tar.gz").string();
  write_bytes(archive, {0x1F, 0x8B, 8});
  CHECK(error(archive) == archive + ": is an archive; unpack it (tar -xf " + archive +
                              ") and give --data cifar10 --data-dir FOLDER");
  write_bytes(folder / "photos.zip", {'P', 'K'});
  CHECK(contains(error((folder / "photos.zip").string()), "and give the folder that comes out"));
  write_red(folder / "one.png", 1);
  CHECK(contains(error((folder / "one.png").string()), "is a file (a PNG picture), not a folder"));
  CHECK(contains(message_of<UsageError>([] { dataset_info("cifar1O"); }), "did you mean"));
  fs::create_directories(folder / "outer");
  write_small_folder(folder / "outer" / "inner");
  CHECK(contains(load_error(folder / "outer"),
                 "did you mean " + (folder / "outer" / "inner").string() + "?"));
}

TEST_CASE("class names that are not UTF-8 are read as Latin-1") {
  const TemporaryFolder folder;
  for (const char* split : {"train", "val"})
    for (const char* kind : {"caf\xe9", "th\xc3\xa9"})
      write_red(folder / split / kind / "1.png", 1);
  const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 8});
  CHECK(splits.train.classes == std::vector<std::string>{"caf\xc3\xa9", "th\xc3\xa9"});
}
