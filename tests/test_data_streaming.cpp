// Folders of pictures that stay files: in little memory, on any number of threads, damaged late.
#include <doctest/doctest.h>

#include <fstream>
#include <numeric>
#include <optional>

#include "data/augment.h"
#include "data/fingerprint.h"
#include "data/image.h"
#include "data/loader.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

// Bytes that this process has held at most since the last reset; nothing where Linux does not tell.
std::optional<int64_t> most_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (int64_t kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024;
  return std::nullopt;
}

// A picture of one colour, whose red tells it from others.
void write_red(const fs::path& path, int red) {
  write_png(path, 8, 8, 3, colour(8, 8, {static_cast<uint8_t>(red), 0, 0}));
}

void reset_most_memory() { std::ofstream("/proc/self/clear_refs") << 5; }

}  // namespace

TEST_CASE("a folder of any size is read in little memory, whatever its files are called") {
  const TemporaryFolder folder;
  constexpr int kPictures = 1000;
  constexpr int64_t kSize = 224;  // of which all pictures would take 200 MB
  write_jpeg(folder / "one.jpg", 300, 260, 3, scenery(300, 260), 85);
  const std::vector<std::string> stems = {"IMG_20240131 (1)",
                                          "Gr\xc3\xbc\xc3\x9f"
                                          "e",
                                          "caf\xe9",
                                          "100%",
                                          "#1 \"best\"",
                                          "a\nb",
                                          "-rf",
                                          "\xe7\x8c\xab\xf0\x9f\x90\x88",
                                          "$HOME `ls`",
                                          std::string(200, 'x')};
  for (const char* split : {"train", "val"})
    for (const char* kind : {"cat", "my dog's"}) fs::create_directories(folder / split / kind);
  for (int i = 0; i < kPictures; ++i)
    fs::create_hard_link(
        folder / "one.jpg",
        folder / (i % 5 ? "train" : "val") / (i % 2 ? "cat" : "my dog's") /
            concat_text(stems[static_cast<size_t>(i) % stems.size()], " ", i, ".JPG"));
  reset_most_memory();
  const int64_t before = most_memory().value_or(0);
  const DataSplits data = load_dataset({.name = folder.path().string(), .image_size = kSize});
  CHECK(data.train.count == 800);
  CHECK(data.test.count == 200);
  CHECK(fingerprint(data).train.count == 800);
  BatchLoader loader(
      data.train,
      {.batch_size = 4, .image_size = kSize, .augment = {.resized_crop = true}, .threads = 2});
  for (int64_t step = 0; step < loader.batches_per_epoch(); ++step) loader.next();
  std::vector<float> shown(4 * kSize * kSize * 3);
  for (int64_t first = 0; first + 4 <= data.test.count; first += 4) {
    std::vector<int64_t> indices(4);
    std::iota(indices.begin(), indices.end(), first);
    make_eval_batch(data.test, indices, kSize, shown.data());
  }
  CHECK(most_memory().value_or(0) - before < int64_t{30} << 20);
}

TEST_CASE("batches of a folder are the same on any number of threads, and crops of its pictures") {
  const TemporaryFolder folder;
  for (const char* kind : {"cat", "dog"})
    for (int i = 0; i < 6; ++i)
      write_jpeg(folder / kind / concat_text(i, ".jpg"), 90 + 7 * i, 80, 3,
                 scenery(90 + 7 * i, 80));
  const Dataset data =
      load_dataset({.name = folder.path().string(), .image_size = 24, .training = false}).test;
  REQUIRE(data.count == 12);
  const AugmentOptions options{.flip = 0.5f, .cutout = 3, .resized_crop = true};
  std::vector<int64_t> indices(12);
  std::iota(indices.begin(), indices.end(), 0);
  std::vector<std::vector<float>> batches, shown;
  for (const int threads : {1, 2, 5}) {
    batches.emplace_back(12 * 24 * 24 * 3), shown.emplace_back(12 * 24 * 24 * 3);
    make_train_batch(data, indices, options, {1, 2, 3}, 24, batches.back().data(), threads);
    make_eval_batch(data, indices, 24, shown.back().data(), threads);
    CHECK(batches.back() == batches.front());
    CHECK(shown.back() == shown.front());
  }
  // Where no window of the ratios fits, the largest one is taken: here of all columns' middle.
  const AugmentOptions all{
      .flip = 0, .resized_crop = true, .scale_low = 1, .ratio_low = 1, .ratio_high = 1};
  make_train_batch(data, indices, all, {1, 2, 3}, 24, batches[0].data(), 1);
  for (const int64_t i : {0, 5, 11}) {
    const EncodedPicture picture = data.files.open(i);
    std::vector<uint8_t> square(24 * 24 * 3);
    picture.resize(centre_square(picture.height(), picture.width()), square.data(), 24, 24);
    for (size_t k = 0; k < square.size(); ++k)
      CHECK(
          batches[0][static_cast<size_t>(i) * square.size() + k] ==
          doctest::Approx((square[k] / 255.0 - data.mean[k % 3]) / data.std[k % 3]).epsilon(1e-4));
  }
}

TEST_CASE("a picture damaged within is named when it is decoded, or left out before if asked for") {
  const TemporaryFolder folder;
  for (const char* kind : {"cat", "dog"})
    for (int i = 0; i < 3; ++i)
      write_jpeg(folder / kind / concat_text(i, ".jpg"), 64, 64, 3, scenery(64, 64));
  const fs::path bad = folder / "cat" / "1.jpg";
  write_bytes(bad, with_damaged_data(read_bytes(bad)));
  const DatasetRequest request{.name = folder.path().string(), .image_size = 16, .training = false};
  const Dataset data = load_dataset(request).test;
  REQUIRE(data.count == 6);
  const std::string error = message_of<DataError>([&] { data.image(1); });
  CHECK(error.starts_with(bad.string() + ": unreadable picture: damaged data: \""));
  CHECK(contains(error, "--skip-bad-pictures"));
  CHECK(!contains(error, "\n"));
  BatchLoader loader(data, {.batch_size = 6, .image_size = 16, .train = false});
  CHECK(message_of<DataError>([&] { loader.next(); }) == error);
  DatasetRequest skipping = request;
  skipping.skip_bad_pictures = true;
  const DataSplits rest = load_dataset(skipping);
  CHECK(rest.test.count == 5);
  CHECK(contains(rest.left_out, "unreadable: 1 (cat/1.jpg)"));
  fs::remove(folder / "dog" / "0.jpg");
  CHECK(contains(message_of<DataError>([&] { data.image(3); }),
                 "0.jpg: cannot be read: No such file"));
}

TEST_CASE("the fingerprint of a folder is of its files' bytes, wherever they lie") {
  const TemporaryFolder folder;
  for (const char* kind : {"cat", "dog"})
    for (int i = 0; i < 3; ++i) write_red(folder / "old" / kind / concat_text(i, ".png"), i);
  const auto print = [&](const char* name) {
    return fingerprint(
        load_dataset({.name = (folder / name).string(), .image_size = 8, .training = false}).test);
  };
  const uint64_t old = print("old");
  fs::rename(folder / "old", folder / "new");
  CHECK(fingerprint(
            load_dataset({.name = (folder / "new").string(), .image_size = 8, .training = false}))
            .test.count == 6);
  CHECK(print("new") == old);
  write_red(folder / "new" / "dog" / "2.png", 7);
  CHECK(print("new") != old);
}
