// Data sets in their published layouts, from stand-ins of few pictures: MAT-files written by scipy
// (golden/make_matlab.py), lists of pictures, classes of ImageNet, pictures without labels.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "data/corruptions.h"
#include "data/imagenet_classes.h"
#include "data/known_sets.h"
#include "data/listed_folders.h"
#include "data/matlab.h"
#include "data/readers.h"
#include "tests/golden_file.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

fs::path golden(const std::string& name) { return golden_file("matlab/" + name); }

constexpr int64_t kLimit = 1 << 20;

std::string refusal(const fs::path& path, const std::string& name = "trnid") {
  return message_of<DataError>([&] { read_matlab(path, {name}, kLimit); });
}

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

// The lists of Pets with every breed once in each, named "breed one_3" by its number.
void write_pets(const fs::path& root) {
  std::string list = "#Image CLASS-ID SPECIES BREED ID\n";
  for (int k = 37; k >= 1; --k)
    list += "the_breed_" + std::string(1, static_cast<char>('A' + k / 26)) +
            static_cast<char>('a' + k % 26) + "_" + std::to_string(100 + k) + " " +
            std::to_string(k) + " 1 1\n";
  write_text(root / "annotations" / "trainval.txt", list);
  write_text(root / "annotations" / "test.txt", list);
}

void write_food(const fs::path& root) {
  std::string list;
  for (int k = 100; k >= 0; --k)
    list += "dish_" + std::to_string(100 + k) + "/" + std::to_string(7000 + k) + "\n";
  write_text(root / "meta" / "train.txt", list);
  write_text(root / "meta" / "test.txt", list);
}

}  // namespace

TEST_CASE("SVHN's digits are read as NumPy wrote them, compressed and not") {
  const TemporaryFolder folder;
  for (const char* const name : {"train_32x32.mat", "test_32x32.mat"})
    fs::copy(golden(name), folder / name);
  const DataSplits splits = read_svhn(folder.path());
  CHECK(splits.train.labels == std::vector<int32_t>{1, 9, 0, 2, 0});
  CHECK(splits.test.labels == std::vector<int32_t>{0, 3});
  CHECK(splits.train.classes[7] == "7");
  for (const Dataset* const data : {&splits.train, &splits.test}) {
    int64_t wrong = 0;
    for (int64_t i = 0; i < std::ssize(data->images); ++i) {
      const int64_t c = i % 3, x = i / 3 % 32, y = i / 96 % 32, n = i / 3072;
      wrong += data->images[static_cast<size_t>(i)] != (7 * y + 3 * x + 50 * c + 11 * n) % 251;
    }
    CHECK(std::ssize(data->images) == data->count * 32 * 32 * 3);
    CHECK(wrong == 0);
  }
  fs::copy(golden("setid.mat"), folder / "test_32x32.mat", fs::copy_options::overwrite_existing);
  CHECK(contains(message_of<DataError>([&] { read_svhn(folder.path()); }),
                 "test_32x32.mat: has no array \"X\""));
}

TEST_CASE("a folder of SVHN is told by its files, whose published sums are asked for") {
  const TemporaryFolder folder;
  for (const char* const name : {"train_32x32.mat", "test_32x32.mat"})
    fs::copy(golden(name), folder / name);
  CHECK(dataset_info(folder.path().string()).name == "svhn");
  CHECK(contains(message_of<DataError>([&] { load_dataset({.name = folder.path().string()}); }),
                 "MD5"));
}

TEST_CASE("Flowers-102 takes labels and splits from its MAT-files") {
  const TemporaryFolder folder;
  for (const char* const name : {"imagelabels.mat", "setid.mat"})
    fs::copy(golden(name), folder / name);
  const FolderLayout layout = find_flowers(folder.path());
  CHECK(layout.classes.size() == 102);
  CHECK(layout.classes[0] == "pink primrose");
  CHECK(layout.classes[101] == "blackberry lily");
  CHECK(std::set<std::string>(layout.classes.begin(), layout.classes.end()).size() == 102);
  const auto read = [&](const FolderSplit& split) {
    std::string text;
    for (const LabelledFile& file : split.files)
      text += fs::path(file.path).lexically_relative(folder.path()).string() + " " +
              std::to_string(file.label) + ";";
    return text;
  };
  CHECK(read(layout.train) ==
        "jpg/image_00001.jpg 0;jpg/image_00004.jpg 4;jpg/image_00002.jpg 101;");
  CHECK(read(layout.val) == "jpg/image_00012.jpg 6;");
  CHECK(read(layout.test) ==
        "jpg/image_00003.jpg 4;jpg/image_00005.jpg 76;jpg/image_00010.jpg 101;");
  CHECK(dataset_info(folder.path().string()).name == "flowers102");
}

TEST_CASE("hostile MAT-files are refused in one line that names what is wrong") {
  const TemporaryFolder folder;
  const std::vector<uint8_t> good = read_bytes(golden("setid.mat"));
  const fs::path path = folder / "f.mat";
  for (size_t length = 0; length < good.size(); ++length) {
    write_bytes(path, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
    const std::string text = message_of<DataError>([&] {
      read_matlab(path, {"trnid", "valid", "tstid"}, kLimit);
    });
    INFO(length);
    CHECK(contains(text, "f.mat: "));
    CHECK(!contains(text, "\n"));
  }
  const auto changed = [&](size_t at, uint8_t value) {
    std::vector<uint8_t> bytes = good;
    bytes[at] = value;
    write_bytes(path, bytes);
    return refusal(path);
  };
  CHECK(contains(changed(125, 2), "not a MAT-file of level 5"));
  CHECK(contains(changed(132, 255), "cut or damaged"));  // the length of its first element
  CHECK(contains(changed(160, static_cast<uint8_t>(good[160] ^ 1)), "damaged"));
  std::vector<uint8_t> big_endian = good;
  std::swap(big_endian[126], big_endian[127]);
  write_bytes(path, big_endian);
  CHECK(contains(refusal(path), "big-endian"));
  write_bytes(path, good);
  CHECK(contains(refusal(path, "nothing"), "has no array \"nothing\""));
  CHECK(contains(message_of<DataError>([&] { read_matlab(path, {"trnid"}, 40); }),
                 "the limit is 40"));
  write_text(path, "\x89HDF\r\n\x1a\n" + std::string(200, ' '));
  CHECK(contains(refusal(path), "HDF5"));
}

TEST_CASE("Pets and Food-101 are what their lists say") {
  const TemporaryFolder folder;
  write_pets(folder.path());
  const FolderLayout pets = find_pets(folder.path());
  CHECK(pets.classes.size() == 37);
  CHECK(pets.classes[0] == "the breed Ab");
  CHECK(pets.train.files[0].path == folder / "images/the_breed_Ab_101.jpg");
  CHECK(pets.train.files[36].label == 36);
  CHECK(pets.test.files.size() == 37);
  const auto refused = [&](const std::string& line) {
    write_text(folder / "annotations/test.txt", line);
    return message_of<DataError>([&] { find_pets(folder.path()); });
  };
  CHECK(
      contains(refused("cat_1 38 1 1\n"), "test.txt:1: expected a picture, its class of 1 to 37"));
  CHECK(contains(refused("cat_1 1 1 1\n../cat_1 1 1 1\n"), "test.txt:2: expected"));
  CHECK(contains(refused(""), "lists no pictures"));
  CHECK(dataset_info(folder.path().string()).name == "pets");

  const TemporaryFolder kitchen;
  write_food(kitchen.path());
  const FolderLayout food = find_food(kitchen.path());
  CHECK(food.classes.size() == 101);
  CHECK(food.classes[0] == "dish_100");
  CHECK(food.train.files[0].path == kitchen / "images/dish_100/7000.jpg");
  CHECK(dataset_info(kitchen.path().string()).name == "food101");
  write_text(kitchen / "meta/test.txt", "pie/1\n");
  CHECK(contains(message_of<DataError>([&] { find_food(kitchen.path()); }), "no class \"pie\""));
}

TEST_CASE("a picture that a list names and the folder lacks is named; others can go on") {
  const TemporaryFolder folder;
  write_pets(folder.path());
  const FolderLayout layout = find_pets(folder.path());
  fs::create_directories(folder / "images");
  for (const LabelledFile& file : layout.train.files)
    write_jpeg(file.path, 12, 10, 3, colour(12, 10, {10, 200, 30}), 90);
  const DatasetRequest request{.name = "pets", .data_dir = folder.path(), .image_size = 8};
  const DataSplits splits = load_dataset(request);
  CHECK(splits.train.count == 37);
  CHECK(splits.train.name == "pets");
  CHECK(splits.train.image(0)[1] > 150);
  fs::remove(layout.train.files[5].path);
  const std::string text = message_of<DataError>([&] { load_dataset(request); });
  CHECK(contains(text, fs::path(layout.train.files[5].path).filename().string()));
}

TEST_CASE("Tiny ImageNet is shown at its own size, with names for its ids") {
  const TemporaryFolder folder;
  write_text(folder / "wnids.txt", "n01443537\nn02123045\n");
  for (const char* const id : {"n01443537", "n02123045"})
    for (const char* const split : {"train", "val"}) {
      const fs::path place = folder / (std::string(split) + "/" + id + "/images");
      fs::create_directories(place);
      write_png(place / "a.png", 64, 64, 3, colour(64, 64, {1, 2, 3}));
    }
  const DataSplits splits = load_dataset({.name = folder.path().string()});
  CHECK(splits.train.name == "tiny-imagenet");
  CHECK(splits.train.height == 64);
  CHECK(splits.train.classes == std::vector<std::string>{"goldfish", "tabby"});
  CHECK(load_dataset({.name = folder.path().string(), .image_size = 32}).train.height == 37);
}

TEST_CASE("a folder of Imagenette or Imagewoof is told by its classes, and ImageNet is neither") {
  using Ids = std::vector<std::string>;
  for (const auto& [set, ids] : {std::pair{"imagenette", Ids{"n01440764", "n02102040"}},
                                 std::pair{"imagewoof", Ids{"n02086240", "n02087394"}}}) {
    const TemporaryFolder folder;
    for (const char* const split : {"train", "val"})
      for (const std::string& id : ids) {
        fs::create_directories(folder / split / id);
        write_png(folder / split / id / "a.png", 9, 8, 3, colour(9, 8, {1, 2, 3}));
      }
    CHECK(dataset_info(folder.path().string()).name == set);
    CHECK(find_dataset(set, folder.path()) == folder.path());
    const DataSplits splits = load_dataset({.name = folder.path().string(), .image_size = 8});
    CHECK(splits.train.classes.size() == 2);
    CHECK(splits.train.classes[0] == imagenet_class_names()[*imagenet_class(ids[0])]);
    for (int i = 0; i < 9; ++i) {
      const fs::path place = folder / "train" / ("n0000000" + std::to_string(i));
      fs::create_directories(place);
      fs::copy_file(folder / "val" / ids[0] / "a.png", place / "a.png");
    }
    CHECK(dataset_info(folder.path().string()).name == folder.path().string());
  }
}

TEST_CASE("ImageNet's classes are known by id, by name and by a synonym that is theirs alone") {
  const std::vector<std::string>& names = imagenet_class_names();
  REQUIRE(std::ssize(names) == kImagenetClasses);
  int64_t wrong = 0;
  for (int32_t k = 0; k < kImagenetClasses; ++k)
    wrong += imagenet_class(names[static_cast<size_t>(k)]) != k ||
             imagenet_class(wordnet_id(k)) != k || (k > 0 && wordnet_id(k - 1) >= wordnet_id(k));
  CHECK(wrong == 0);
  // As torchvision's and timm's lists have them.
  CHECK(imagenet_class("n01440764") == 0);
  CHECK(imagenet_class("Tinca tinca") == 0);
  CHECK(imagenet_class("ENGLISH_springer") == 217);
  CHECK(imagenet_class("cassette player") == 482);
  CHECK(imagenet_class("Cardigan") == 264);
  CHECK(imagenet_class("cardigan") == 474);
  CHECK(imagenet_class("crane") == 517);
  CHECK(imagenet_class("crane bird") == 134);
  CHECK(imagenet_class("maillot tank suit") == 639);
  CHECK(imagenet_class("toilet tissue") == 999);
  CHECK(!imagenet_class("panda"));  // the giant and the lesser one
  CHECK(!imagenet_class("n00000001"));
  CHECK(!imagenet_class(""));
}

TEST_CASE("pictures of some classes get the labels of a network that knows more") {
  Dataset data = counting_dataset(6, 2, 2);
  data.classes = {"parachute", "n02102040", "chain_saw"};
  DataSplits splits{.train = data, .test = data};
  label_as(splits, imagenet_class_names());
  CHECK(splits.test.labels == std::vector<int32_t>{701, 217, 491, 701, 217, 491});
  CHECK(splits.train.labels == splits.test.labels);
  CHECK(splits.test.num_classes() == 1000);
  CHECK(splits.test.shown_classes() == std::vector<int32_t>{217, 491, 701});
  DataSplits back{.train = splits.train, .test = data};
  back.test.classes = {"c", "b", "a"};
  const std::string text = message_of<UsageError>([&] { label_as(back, imagenet_class_names()); });
  CHECK(contains(text, "3 of its 3 classes (\"c\", \"b\", \"a\") are not among the 1000"));
  CHECK(back.test.labels == data.labels);
}

TEST_CASE("ImageNet-C is read from its folders, kinds in those of their groups or not") {
  const TemporaryFolder folder;
  const std::vector<std::string> kinds = {"noise/gaussian_noise", "fog"};
  for (size_t k = 0; k < kinds.size(); ++k)
    for (int severity = 1; severity <= 5; ++severity)
      for (const char* const id : {"n01440764", "n02102040", "n03888257"}) {
        const fs::path place = folder / kinds[k] / std::to_string(severity) / id;
        fs::create_directories(place);
        const auto grey = static_cast<uint8_t>(100 * k + 10 * static_cast<size_t>(severity));
        for (const char* const name : {"a.png", "b.png"})
          write_png(place / name, 24, 24, 3, colour(24, 24, {grey, 7, 9}));
      }
  // A network that knows two of the three classes.
  const CorruptionFiles files(folder.path(), {"parachute", "cat", "tench"}, 12);
  CHECK(files.count() == 4);
  CHECK(files.labels() == std::vector<int32_t>{2, 2, 0, 0});
  CHECK(files.has(Corruption::fog));
  CHECK(files.has(Corruption::gaussian_noise));
  CHECK(!files.has(Corruption::snow));
  const std::vector<int64_t> last = {3};
  CHECK(files.read(Corruption::fog, 4, last).size() == 12 * 12 * 3);
  CHECK(files.read(Corruption::fog, 4, last)[0] == 140);
  CHECK(files.read(Corruption::gaussian_noise, 5, last)[0] == 50);
  CHECK(contains(message_of<DataError>([&] { CorruptionFiles(folder.path(), {"cat"}, 12); }),
                 "the 1 classes that the network knows"));
}

TEST_CASE("any folder holds pictures without labels") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "deep/er");
  write_png(folder / "b.png", 20, 10, 3, colour(20, 10, {9, 8, 7}));
  write_png(folder / "deep/er/a.png", 8, 8, 3, colour(8, 8, {9, 8, 7}));
  write_text(folder / "notes.txt", "no picture");
  const DataSplits splits = load_unlabelled(folder.path(), {"x", "y"}, 14);
  CHECK(splits.test.count == 2);
  CHECK(!splits.test.labelled);
  CHECK(splits.test.labels == std::vector<int32_t>{-1, -1});
  CHECK(splits.test.classes == std::vector<std::string>{"x", "y"});
  CHECK(splits.test.image(0)[0] == 9);
  CHECK(contains(what_was_found(splits), "2 pictures without labels; left out: no picture: 1"));
  const TemporaryFolder empty;
  CHECK(contains(message_of<DataError>([&] { load_unlabelled(empty.path(), {}, 14); }),
                 "no pictures in it or below"));
  CHECK(contains(message_of<DataError>([&] { load_unlabelled(folder / "b.png", {}, 14); }),
                 "is a file"));
}
