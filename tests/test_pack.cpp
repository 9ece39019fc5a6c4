// Shards written from folders of pictures.
#include <doctest/doctest.h>

#include <algorithm>

#include "data/fingerprint.h"
#include "data/loader.h"
#include "data/pack.h"
#include "data/tar.h"
#include "tests/picture_files.h"
#include "tests/shard_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

TEST_CASE("a packed folder trains as the folder does; its bytes depend on nothing else") {
  const TemporaryFolder folder;
  for (const char* split : {"train", "valid"})
    for (int k = 0; k < 2; ++k)
      for (int i = 0; i < 5; ++i) {
        const fs::path file =
            folder / "f" / split / (k ? "my dog's" : "cat") / (std::to_string(i) + ".JPEG");
        if (i == 2) write_png(file, 9, 9, 3, scenery(9, 9));  // told by its content
        else write_jpeg(file, 20 + 5 * i, 31 - k, 3, scenery(20 + 5 * i, 31 - k));
      }
  const auto packed = pack_folder(folder / "f", folder / "out" / "s", {});
  REQUIRE(packed);
  REQUIRE(packed->splits.size() == 2);
  CHECK(packed->splits[0].pattern == "train-{000000..000003}.tar");
  CHECK(packed->splits[1].pattern == "valid-000000.tar");
  CHECK(text_of(folder / "out/s/classes.txt") == "cat\nmy dog's\n");
  const auto load = [&](const char* name) {
    return load_dataset({.name = (folder / name).string(), .image_size = 16});
  };
  const DataFingerprint files = fingerprint(load("f"));
  CHECK(fingerprint(load("out/s/train-{000000..000003}.tar")) == files);
  CHECK(fingerprint(load("out/s")) == files);
  TarReader reader(folder / "out/s/train-000001.tar");
  std::vector<std::string> members;
  while (const auto member = reader.next()) members.push_back(member->name);
  CHECK(members == std::vector<std::string>{"000000002.png", "000000002.cls", "000000003.jpg",
                                            "000000003.cls", "000000004.jpg", "000000004.cls"});
  pack_folder(folder / "f", folder / "again", {});
  for (const auto& entry : fs::directory_iterator(folder / "again"))
    CHECK(read_bytes(entry.path()) == read_bytes(folder / "out/s" / entry.path().filename()));
  const auto drawn =
      pack_folder(folder / "f", folder / "drawn", {.shards = 2, .shuffle = true, .seed = 4});
  CHECK(drawn->splits[0].pattern == "train-{000000..000001}.tar");
  const DataSplits shuffled = load("drawn");
  const std::vector<int64_t> order = epoch_order(10, 4, 0);
  const DataSplits plain = load("f");
  for (int64_t i = 0; i < 10; ++i)
    CHECK(shuffled.train.files.checksum(i) ==
          plain.train.files.checksum(order[static_cast<size_t>(i)]));
}

TEST_CASE("packing writes all or nothing, and where there is nothing yet") {
  const TemporaryFolder folder;
  for (const char* kind : {"a", "b"})
    for (int i = 0; i < 3; ++i)
      write_png(folder / "f" / kind / concat_text(i, ".png"), 8, 8, 3, scenery(8, 8));
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder.path()))
      found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  };
  const PackOptions stops{.progress = [](int64_t done, int64_t all) {
    CHECK(all == 6);
    return done < 4;
  }};
  CHECK(!pack_folder(folder / "f", folder / "out", stops));
  CHECK(names() == std::vector<std::string>{"f"});
  write_text(folder / ".out.packing" / "train-000000.tar", "of a killed program");
  fs::create_directory(folder / "out");
  REQUIRE(pack_folder(folder / "f", folder / "out", {}));
  CHECK(names() == std::vector<std::string>{"f", "out"});
  CHECK(!fs::exists(folder / "out" / "val-000000.tar"));
  CHECK(contains(message_of<UsageError>([&] { pack_folder(folder / "f", folder / "out", {}); }),
                 "is there already, and is no empty folder"));
  CHECK(contains(message_of<UsageError>([&] { pack_folder(folder / "f", folder / "f/s", {}); }),
                 "whose pictures are packed; name a place outside"));
  write_text(folder / "f/a/bad.jpg", "no picture");
  const std::string bad =
      message_of<DataError>([&] { pack_folder(folder / "f", folder / "o", {}); });
  CHECK(contains(bad, "bad.jpg: unreadable picture: neither PNG nor JPEG"));
  const auto rest = pack_folder(folder / "f", folder / "o", {.skip_bad_pictures = true});
  CHECK(rest->splits[0].pictures == 6);
  CHECK(contains(rest->left_out, "unreadable: 1 (a/bad.jpg)"));
  fs::remove(folder / "f/a/bad.jpg");
  write_png(folder / "f" / "two\nlines" / "x.png", 8, 8, 3, scenery(8, 8));
  CHECK(contains(message_of<DataError>([&] { pack_folder(folder / "f", folder / "p", {}); }),
                 "ends a line; classes.txt cannot hold it"));
}
