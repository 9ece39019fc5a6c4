// Tar archives against Python's tarfile, archives made to do harm, shards in WebDataset's form,
// and their index.
#include <doctest/doctest.h>

#include <cstdlib>
#include <numeric>

#include <nlohmann/json.hpp>

#include "data/augment.h"
#include "data/fingerprint.h"
#include "data/image.h"
#include "data/loader.h"
#include "data/shard_index.h"
#include "data/shard_names.h"
#include "data/shards.h"
#include "data/tar.h"
#include "tests/golden_file.h"
#include "tests/picture_files.h"
#include "tests/shard_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

std::vector<TarMember> members_of(const fs::path& path) {
  TarReader reader(path);
  std::vector<TarMember> members;
  while (const auto member = reader.next()) members.push_back(*member);
  return members;
}

// What is said of an archive of these bytes; empty when it is read to its end.
std::string said_of(const TemporaryFolder& folder, const std::string& bytes) {
  write_text(folder / "x.tar", bytes);
  const std::string text = message_of<DamagedTar>([&] { members_of(folder / "x.tar"); });
  const std::string start = (folder / "x.tar").string() + " at offset ";
  if (text.empty()) return "";
  CHECK(text.starts_with(start));
  return text.substr(start.size());
}

std::string png_bytes(const TemporaryFolder& folder, int red, int side = 8) {
  write_png(folder / "one.png", side, side, 3,
            colour(side, side, {static_cast<uint8_t>(red), 0, 0}));
  return text_of(folder / "one.png");
}

std::string pax_record(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

// Shards train-0.tar .. with `each` pictures of two classes in turn; val-0.tar with two.
void write_shards(const TemporaryFolder& folder, int shards, int each) {
  for (int s = 0; s < shards; ++s) {
    Members members;
    for (int i = 0; i < each; ++i) {
      const std::string key = std::to_string(s * each + i);
      members.emplace_back(key + ".png", png_bytes(folder, s * each + i));
      members.emplace_back(key + ".cls", std::to_string((s * each + i) % 2) + "\n");
    }
    write_text(folder / concat_text("s/train-", s, ".tar"), tar_of(members));
    make_old(folder / concat_text("s/train-", s, ".tar"));
  }
  write_text(folder / "s/val-0.tar", tar_of({{"a.png", png_bytes(folder, 200)},
                                             {"a.cls", "0"},
                                             {"b.png", png_bytes(folder, 201)},
                                             {"b.cls", "1"}}));
  make_old(folder / "s/val-0.tar");
}

int red_of(const Dataset& data, int64_t index) { return data.image(index)[0]; }

}  // namespace

TEST_CASE("archives of every format are read as Python's tarfile reads them") {
  const fs::path golden = golden_file("tar");
  const auto listing = nlohmann::json::parse(text_of(golden / "listing.json"));
  REQUIRE(listing.size() == 8);
  for (const auto& [name, expected] : listing.items()) {
    CAPTURE(name);
    const std::vector<TarMember> found = members_of(golden / name);
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      const auto& member = expected[i];
      CAPTURE(member["name"].get<std::string>());
      CHECK(found[i].file == member["file"].get<bool>());
      if (!found[i].file) continue;
      CHECK(found[i].name == member["name"].get<std::string>());
      CHECK(found[i].offset == member["offset"].get<int64_t>());
      CHECK(found[i].bytes == member["bytes"].get<int64_t>());
    }
  }
}

TEST_CASE("a member of nine GiB is stepped over, and what follows it found") {
  const TemporaryFolder folder;
  const int64_t size = int64_t{9} << 30;
  std::string field(12, '\0');
  field[0] = '\x80';
  for (int i = 0; i < 8; ++i) field[11 - static_cast<size_t>(i)] = static_cast<char>(size >> 8 * i);
  const std::string pax = tar_member("x", pax_record("size", std::to_string(size)), 'x');
  for (const std::string& start :
       {header_with("large", field), pax + header_with("large", octal(0, 11) + '\0')}) {
    write_text(folder / "large.tar", start);
    const auto begin = static_cast<int64_t>(start.size());
    fs::resize_file(folder / "large.tar", static_cast<uintmax_t>(begin + size));
    std::ofstream(folder / "large.tar", std::ios::binary | std::ios::app)
        << tar_member("after", "!") << kTarEnd;
    const std::vector<TarMember> found = members_of(folder / "large.tar");
    REQUIRE(found.size() == 2);
    CHECK(found[0].bytes == size);
    CHECK(found[1].name == "after");
    CHECK(found[1].offset == begin + size + 512);
    CHECK(TarReader(folder / "large.tar").content(found[1]) == std::vector<uint8_t>{'!'});
  }
}

TEST_CASE("an archive that was made to do harm is refused at its place") {
  const TemporaryFolder folder;
  const auto with_size = [](const std::string& field) {
    return tar_member("ok", "1") + header_with("bad", field) + kTarEnd;
  };
  const std::string number = "1024: the size of a member is negative, too large or no number";
  CHECK(said_of(folder, with_size(std::string(12, '\xff'))) == number);
  CHECK(said_of(folder, with_size("\x80" + std::string(3, '\0') + std::string(8, '\xff'))) ==
        number);
  CHECK(said_of(folder, with_size("-0000000001\0")) == number);
  CHECK(said_of(folder, with_size("00000000009\0")) == number);
  CHECK(said_of(folder, with_size("777777777777")) ==
        "1024: the archive is truncated: of the 68719476735 bytes of a member 1024 are there");
  CHECK(
      said_of(folder, with_size("\x80" + std::string(3, '\0') + "\x7f" + std::string(7, '\xff'))) ==
      "1024: the archive is truncated: of the 9223372036854775807 bytes of a member 1024 are "
      "there");
  const auto with_pax = [&](const std::string& records, char type = 'x') {
    return said_of(folder, tar_member("h", records, type) + tar_member("a", "1") + kTarEnd);
  };
  CHECK(with_pax(pax_record("size", "1")) == "");
  CHECK(with_pax(pax_record("size", "99999999999999999999")) ==
        "0: its pax header states a size that is no number");
  CHECK(with_pax(pax_record("size", "-1"), 'g') ==
        "0: its pax header states a size that is no number");
  for (const char* records : {"99 path=x\n", "4 x\n", "0 path=x\n", "18446744073709551617 a=b\n",
                              "7 path=", "path=x\n", " 9 a=b\n", "-5 a=b\n"})
    CHECK(with_pax(records) == "0: a record of its pax header is damaged");
  CHECK(with_pax(std::string(2 << 20, 'x')) ==
        "0: a pax header of 2097152 bytes; the limit is 1048576");
  CHECK(with_pax(std::string(2 << 20, 'x'), 'L') ==
        "0: a long name of 2097152 bytes; the limit is 1048576");
  CHECK(said_of(folder, tar_member("h", pax_record("path", "b"), 'x') + kTarEnd) ==
        "1024: the archive ends where a header has announced a member");
  std::string flipped = tar_of({{"a", "1"}, {"b", "2"}});
  flipped[1024] = 'c';
  CHECK(said_of(folder, flipped) == "1024: no header of a tar archive (its checksum is wrong)");
  CHECK(said_of(folder, "") == "0: the archive is truncated (it has no end marker)");
  CHECK(message_of<DataError>([&] { TarReader(folder.path()); }) ==
        folder.path().string() + ": cannot be read: it is no regular file");
}

TEST_CASE("an archive cut anywhere is refused, at a header that was whole before") {
  const TemporaryFolder folder;
  const std::string whole = text_of(golden_file("tar/python-pax.tar"));
  const std::vector<TarMember> members = members_of(golden_file("tar/python-pax.tar"));
  const int64_t end = members.back().offset + 1536;  // of two blocks and one byte, padded
  for (int64_t length = 0; length < end + 512; length += 61) {
    const std::string said = said_of(folder, whole.substr(0, static_cast<size_t>(length)));
    CHECK(contains(said, "the archive is truncated"));
    CHECK(std::atoll(said.c_str()) <= length);
  }
  CHECK(said_of(folder, whole.substr(0, static_cast<size_t>(end + 512))) == "");
}

TEST_CASE("names of shards are lists, ranges and wildcards, as a shell has them") {
  using Names = std::vector<std::string>;
  CHECK(expand_braces("a-{08..11}.tar") == Names{"a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"});
  CHECK(expand_braces("a-{8..11}.tar") == Names{"a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"});
  CHECK(expand_braces("{b,a}/{2..1}") == Names{"b/2", "b/1", "a/2", "a/1"});
  CHECK(expand_braces("plain") == Names{"plain"});
  CHECK(expand_braces("open{") == Names{"open{"});
  for (const char* bad : {"{a}", "{}", "{1..x}", "{-1..2}", "{0..999999999999}"})
    CHECK(contains(message_of<UsageError>([&] { expand_braces(bad); }), "is no range"));
  CHECK(contains(message_of<UsageError>([] { expand_braces("{0..9999}{0..9999}"); }),
                 "more than 1000000 paths"));
  const TemporaryFolder folder;
  for (const char* name : {"x-train-1.tar", "x-train-0.tar", "x-val-0.tar", "x-training.tar",
                           "y-val-0.tar", "x-test-0.tar", "notes.txt"})
    write_text(folder / name, "");
  const auto find = [&](const char* pattern) { return find_shards((folder / pattern).string()); };
  for (const char* pattern : {"x-train-{0..1}.tar", "x-train-*.tar", ""}) {
    const ShardNames names = find(pattern);
    CHECK(names.train.shards ==
          std::vector<fs::path>{folder / "x-train-0.tar", folder / "x-train-1.tar"});
    CHECK(names.val.shards == std::vector<fs::path>{folder / "x-val-0.tar"});
    CHECK(names.test.shards == std::vector<fs::path>{folder / "x-test-0.tar"});
  }
  CHECK(names_shards(folder.path().string()));
  CHECK(find("y-val-0.tar").train.name == "all");
  CHECK(message_of<DataError>([&] { find("x-train-{0..2}.tar"); }) ==
        concat_text((folder / "x-train-2.tar").string(), ": no such shard (of \"",
                    (folder / "x-train-{0..2}.tar").string(), "\")"));
  CHECK(contains(message_of<DataError>([&] { find("z*.tar"); }), "matches no file"));
  write_text(folder / "x-valid-0.tar", "");
  CHECK(contains(message_of<DataError>([&] { find(""); }), "shards of both val and valid"));
  fs::create_directory(folder / "train");
  CHECK(!names_shards(folder.path().string()));
}

TEST_CASE("samples are told by their keys, labels by .cls or .json") {
  const TemporaryFolder folder;
  const std::string png = png_bytes(folder, 1);
  const Members members = {{"d.x/a.PNG", png},
                           {"d.x/a.cls", " 1 \n"},
                           {"b.seg.png", png},  // no picture: its extension is seg.png
                           {"b.jpg", png},
                           {"b.json", R"({"width": 8, "label": 0})"},
                           {"c.json", R"({"class": "cat"})"},
                           {"c.png", png},
                           {"d.cls", "0"},
                           {"._d.png", png},
                           {"notes", "none"},
                           {"e.png", png},
                           {"f.png", png},
                           {"f.cls", "2"},
                           {"g.png", png},
                           {"g.cls", "-1"},
                           {"h.png", png},
                           {"h.json", R"({"label": 1.5})"},
                           {"i.png", png},
                           {"i.json", std::string(1000, '[')},
                           {"b.png", png},
                           {"b.cls", "0"},
                           {"j.png", png},
                           {"j.jpg", png},
                           {"j.cls", "0"},
                           {"k.png", ""},
                           {"k.cls", "0"},
                           {"l.png", png.substr(0, 60)},
                           {"l.cls", "dog"}};
  write_text(folder / "s.tar", tar_of(members));
  const ShardContents read = read_shard(folder / "s.tar", ShardCheck::structure, {"dog", "cat"});
  std::vector<int32_t> labels;
  for (const ShardPicture& picture : read.pictures) {
    labels.push_back(picture.label);
    CHECK(read_file_part(folder / "s.tar", picture.offset, picture.bytes) ==
          read_bytes(folder / "one.png"));
  }
  CHECK(labels == std::vector<int32_t>{1, 0, 1});
  std::string faults;
  for (const ShardFault& fault : read.faults) faults += fault.member + ": " + fault.reason + "\n";
  CHECK(faults ==
        "e.png: it has no label (KEY.cls or KEY.json)\n"
        "f.png: its label 2 is not 0 to 1\n"
        "g.png: its label -1 is not 0 to 1\n"
        "h.png: \"label\" of its .json is neither a number nor a name\n"
        "i.png: its JSON is nested too deep\n"
        "b.png: its key came before in the shard\n"
        "j.png: its key has two pictures\n"
        "k.png: the file is empty\n"
        "l.png: the PNG is truncated (it has no IEND chunk)\n");
  REQUIRE(read.rest.size() == 2);
  CHECK(read.rest[0] == ShardRest{"no KEY.jpg", "._d.png", 2});
  CHECK(read.rest[1] == ShardRest{"no picture", "d.cls", 1});
}

TEST_CASE("pictures of shards are those of the folder they came from, to the bit") {
  const TemporaryFolder folder;
  Members train, val;
  for (const char* split : {"train", "val"})
    for (int k = 0; k < 2; ++k)
      for (int i = 0; i < 5; ++i) {
        const fs::path path = folder / "f" / split / (k ? "dog" : "cat") / concat_text(i, ".jpg");
        write_jpeg(path, 60 + 9 * i, 50 + 7 * k, 3, scenery(60 + 9 * i, 50 + 7 * k));
        Members& members = split[0] == 't' ? train : val;
        members.emplace_back(concat_text(k, "_", i, ".jpg"), text_of(path));
        members.emplace_back(concat_text(k, "_", i, ".cls"), std::to_string(k));
      }
  const Members first(train.begin(), train.begin() + 6), rest(train.begin() + 6, train.end());
  write_text(folder / "s" / "train-0.tar", tar_of(first));
  write_text(folder / "s" / "train-1.tar", tar_of(rest));
  write_text(folder / "s" / "val-0.tar", tar_of(val));
  write_text(folder / "s" / "classes.txt", "cat\ndog\n");
  const DataSplits files = load_dataset({.name = (folder / "f").string(), .image_size = 24});
  const DataSplits shards =
      load_dataset({.name = (folder / "s" / "train-{0..1}.tar").string(), .image_size = 24});
  CHECK(fingerprint(files) == fingerprint(shards));
  CHECK(what_was_found(shards).ends_with(": 2 classes; train 10 pictures, val 10"));
  for (int64_t i = 0; i < 10; ++i) {
    const size_t bytes = static_cast<size_t>(files.train.image_bytes());
    const PictureBytes a = files.train.image(i), b = shards.train.image(i);
    CHECK(std::equal(a.data(), a.data() + bytes, b.data()));
  }
  CHECK(shards.train.files.short_name(3) == "0_3.jpg");
  CHECK(shards.train.files.shard(2) == 0);
  CHECK(shards.train.files.shard(3) == 1);
  const LoaderOptions options{
      .batch_size = 3, .image_size = 24, .augment = {.resized_crop = true}, .threads = 2};
  BatchLoader a(files.train, options), b(shards.train, options);
  for (int step = 0; step < 9; ++step) {
    const Batch &x = a.next(), &y = b.next();
    CHECK(x.indices == y.indices);
    CHECK(x.labels == y.labels);
    CHECK(std::equal(x.images.data<float>(), x.images.data<float>() + x.images.numel(),
                     y.images.data<float>()));
  }
}

TEST_CASE("a loader of shards goes on in the middle of an epoch, to the bit") {
  const TemporaryFolder folder;
  write_shards(folder, 3, 7);
  const DataSplits data = load_dataset({.name = (folder / "s").string(), .image_size = 8});
  CHECK(data.train.count == 21);
  CHECK(data.test.count == 2);
  for (int64_t i = 0; i < 21; ++i) CHECK(red_of(data.train, i) == i);
  BatchLoader whole(data.train, {.batch_size = 4, .image_size = 8, .seed = 3});
  std::vector<std::vector<int64_t>> seen;
  std::vector<BatchLoader::Position> positions;
  for (int step = 0; step < 14; ++step) {
    positions.push_back(whole.position());
    seen.push_back(whole.next().indices);
  }
  for (const size_t from : {0u, 5u, 8u}) {
    BatchLoader later(data.train, {.batch_size = 4, .image_size = 8, .seed = 3});
    later.seek(positions[from]);
    for (size_t step = from; step < seen.size(); ++step) CHECK(later.next().indices == seen[step]);
  }
}

TEST_CASE("what cannot be read is named by shard and offset, or left out if asked for") {
  const TemporaryFolder folder;
  write_shards(folder, 2, 4);
  const fs::path shard = folder / "s/train-1.tar";
  std::string bytes = text_of(shard);
  const TarMember third = members_of(shard)[4];
  bytes[static_cast<size_t>(third.offset) + 1] = 'X';
  write_text(shard, bytes);
  const DatasetRequest request{.name = (folder / "s").string(), .image_size = 8};
  CHECK(message_of<DataError>([&] { load_dataset(request); }) ==
        concat_text(shard.string(), " at offset ", third.offset,
                    " (6.png): unreadable sample: neither PNG nor JPEG; mend or remove what is "
                    "unreadable, or leave it out with --skip-bad-pictures"));
  DatasetRequest skipping = request;
  skipping.skip_bad_pictures = true;
  DataSplits rest = load_dataset(skipping);
  CHECK(rest.train.count == 7);
  CHECK(contains(rest.left_out,
                 concat_text("unreadable: 1 (train-1.tar at offset ", third.offset, " (6.png))")));
  // Cut within the third sample: the first two stay.
  write_text(shard, bytes.substr(0, static_cast<size_t>(third.offset) + 20));
  CHECK(contains(message_of<DataError>([&] { load_dataset(request); }),
                 concat_text(shard.string(), " at offset ", third.header,
                             ": unreadable sample: the archive is truncated")));
  rest = load_dataset(skipping);
  CHECK(rest.train.count == 6);
  // Damaged after it was looked at: named when it is decoded.
  fs::remove(folder / "s/train-1.tar");
  const DataSplits data = load_dataset(request);
  bytes = text_of(folder / "s/train-0.tar");
  const TarMember first = members_of(folder / "s/train-0.tar")[0];
  bytes[static_cast<size_t>(first.offset)] = 'X';
  write_text(folder / "s/train-0.tar", bytes);
  CHECK(message_of<DataError>([&] { data.train.image(0); })
            .starts_with(concat_text((folder / "s/train-0.tar").string(), " at offset ",
                                     first.offset, ": unreadable picture: neither PNG nor JPEG")));
}

TEST_CASE("a member's name is read at its own header, whatever else the shard holds") {
  const TemporaryFolder folder;
  const std::string longer = "n01440764/" + std::string(150, 'k');
  const fs::path shard = folder / "s/train-0.tar";
  std::string bytes = tar_of({{"0.png", png_bytes(folder, 0)}, {"0.cls", "0"}});
  bytes.resize(bytes.size() - kTarEnd.size());
  bytes += tar_member("pax", pax_record("path", longer + ".png"), 'x') +
           tar_member("cut.png", png_bytes(folder, 1)) +
           tar_member("pax", pax_record("path", longer + ".cls"), 'x') + tar_member("cut.cls", "1");
  write_text(shard, bytes + kTarEnd);
  const DataSplits data =
      load_dataset({.name = shard.string(), .image_size = 8, .training = false});
  const PictureFiles& files = data.test.files;
  REQUIRE(files.size() == 2);
  // What lies before it does not matter, and is not read.
  bytes.replace(0, 512, std::string(512, 'x'));
  write_text(shard, bytes + kTarEnd);
  CHECK(files.short_name(1) == longer + ".png");
  CHECK(files.short_name(0) == concat_text(shard.string(), " at offset 512"));
}

TEST_CASE("what an index says of shards comes back whole, or not at all") {
  const ShardContents one{.bytes = 9,
                          .modified = 8,
                          .read_at = 7,
                          .check = ShardCheck::data,
                          .pictures = {{1, 2, 3, 4, 5, 6}, {6, 7, 8, 9, 10, 11}},
                          .faults = {{11, "m", "r"}},
                          .rest = {{"a", "b", 12}}};
  const ShardIndex index = {{"x.tar", one}, {"y.tar", {}}};
  const std::string bytes = shard_index_bytes(index, 77);
  CHECK(parse_shard_index(bytes, 77) == index);
  CHECK(parse_shard_index(bytes, 78) == ShardIndex{});  // labels were of other classes
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK(!parse_shard_index(std::string_view(bytes).substr(0, cut), 77));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    CHECK(!parse_shard_index(damaged, 77));
  }
}

TEST_CASE("a shard is read once, and again when it or its index has changed") {
  const TemporaryFolder folder;
  write_shards(folder, 2, 3);
  const std::string name = (folder / "s").string();
  const fs::path index = folder / "s" / kShardIndex, shard = folder / "s/train-1.tar";
  const auto load = [&] { return load_dataset({.name = name, .image_size = 8}); };
  CHECK(load().train.count == 6);
  REQUIRE(fs::exists(index));
  const std::vector<uint8_t> kept = read_bytes(index);
  // Another archive of the same size and time is not looked at.
  const auto before = fs::last_write_time(shard);
  const std::string original = text_of(shard);
  write_text(shard, std::string(original.size(), 'x'));
  fs::last_write_time(shard, before);
  CHECK(load().train.count == 6);
  // Of another time it is.
  make_old(shard, 5);
  CHECK(
      contains(message_of<DataError>(load), "train-1.tar at offset 0: unreadable sample: no head"));
  write_text(shard, original);
  make_old(shard, 7);
  CHECK(load().train.count == 6);
  // A damaged index is made anew, said once.
  std::vector<uint8_t> damaged = read_bytes(index);
  CHECK(damaged != kept);  // of the shard's new time
  const std::vector<uint8_t> whole = damaged;
  damaged[damaged.size() / 2] ^= 1;
  write_bytes(index, damaged);
  CHECK(load().remark == index.string() + " was damaged and is made anew");
  CHECK(parse_shard_index(text_of(index), 0));
  CHECK(read_bytes(index).size() == whole.size());
  // A shard that was changed just before it was read is not trusted later.
  write_text(shard, original);
  CHECK(load().train.count == 6);
  CHECK(read_bytes(index) == read_bytes(index));
  fs::remove(folder / "s/train-0.tar");
  CHECK(load().train.count == 3);
}

TEST_CASE("where a folder takes no index it lies in the cache, or there is none, and it is said") {
  const TemporaryFolder folder;
  write_shards(folder, 1, 2);
  fs::create_directories(folder / "s" / kShardIndex / "in the way");
  REQUIRE(setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1) == 0);
  const std::string name = (folder / "s/train-0.tar").string();
  const auto load = [&] { return load_dataset({.name = name, .image_size = 8}); };
  const DataSplits data = load();
  CHECK(data.train.count == 2);
  CHECK(contains(what_was_found(data), concat_text("; ", (folder / "s").string(),
                                                   " cannot be written to: the index of its "
                                                   "shards lies in ",
                                                   (folder / "cache/passband/").string())));
  CHECK(std::distance(fs::directory_iterator(folder / "cache/passband"), {}) == 1);
  CHECK(load().train.count == 2);
  fs::rename(folder / "s", folder / "t");
  write_text(folder / "no", "");
  REQUIRE(setenv("XDG_CACHE_HOME", (folder / "no").c_str(), 1) == 0);
  const DataSplits none =
      load_dataset({.name = (folder / "t/train-0.tar").string(), .image_size = 8});
  CHECK(none.train.count == 2);
  CHECK(contains(none.remark, "no index of the shards is kept, so that each start reads through"));
  unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("without shards to be judged by, some are held out or one line says how") {
  const TemporaryFolder folder;
  write_shards(folder, 2, 10);
  fs::remove(folder / "s/val-0.tar");
  DatasetRequest request{.name = (folder / "s/train-{0..1}.tar").string(), .image_size = 8};
  CHECK(message_of<DataError>([&] { load_dataset(request); }) ==
        request.name +
            ": no shards val-*.tar beside them to be judged by; to hold out some of its "
            "20 pictures give --val-split 0.1");
  request.val_split = 0.2;
  const DataSplits data = load_dataset(request);
  CHECK(data.train.count == 16);
  CHECK(data.test.count == 4);
  for (int64_t i = 0; i < 4; ++i) CHECK(red_of(data.test, i) % 2 == data.test.labels[i]);
  CHECK(dataset_info(request.name).classes == 2);
  CHECK(dataset_info(request.name).train_count == 20);
  write_text(folder / "s/empty.tar", kTarEnd);
  CHECK(contains(message_of<DataError>([&] {
                   load_dataset({.name = (folder / "s/empty.tar").string(), .image_size = 8});
                 }),
                 "holds no KEY.jpg (or .jpeg, .png) with KEY.cls or KEY.json"));
}
