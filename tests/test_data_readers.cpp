// Data sets from files, real CIFAR where present, and from files missing, cut, wrong or unreadable.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <tuple>

#include <sys/stat.h>

// PNG files of these tests hold stored blocks (made below): stb's own compressor takes seconds for
// the large ones.
static unsigned char* store_zlib(unsigned char* data, int length, int* out_length, int quality);
#define STBIW_ZLIB_COMPRESS store_zlib
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

#include "data/cifar_png.h"
#include "data/image.h"
#include "data/published_sums.h"
#include "data/readers.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

// A deflate stream (RFC 1951) of stored blocks.
void append_stored(const uint8_t* content, size_t bytes, std::vector<uint8_t>& out) {
  for (size_t at = 0; at < bytes; at += 65535) {
    const size_t length = std::min<size_t>(65535, bytes - at);
    out.push_back(at + length == bytes);
    for (const size_t value : {length, ~length}) {
      out.push_back(static_cast<uint8_t>(value));
      out.push_back(static_cast<uint8_t>(value >> 8));
    }
    out.insert(out.end(), content + at, content + at + length);
  }
}

// A gzip file with its CRC-32 computed bit by bit.
std::vector<uint8_t> gzip_stored(const std::vector<uint8_t>& content) {
  std::vector<uint8_t> out = {0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 3, 'n', 'a', 'm', 'e', 0};
  append_stored(content.data(), content.size(), out);
  uint32_t crc = ~0u;
  for (const uint8_t byte : content) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  for (const uint32_t value : {~crc, static_cast<uint32_t>(content.size())})
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(value >> shift));
  return out;
}

struct Moments {
  std::array<double, 3> mean{}, std{};
};

Moments moments(const Dataset& data) {
  Moments m;
  const double n = static_cast<double>(data.images.size()) / 3;
  for (size_t i = 0; i < data.images.size(); ++i) m.mean[i % 3] += data.images[i] / 255.0 / n;
  for (size_t i = 0; i < data.images.size(); ++i) {
    const double centred = data.images[i] / 255.0 - m.mean[i % 3];
    m.std[i % 3] += centred * centred / n;
  }
  for (double& value : m.std) value = std::sqrt(value);
  return m;
}

// CIFAR-10 files whose bytes are a function of their place: the label cycles, the planes follow the
// pixel number.
void write_cifar10(const fs::path& folder) {
  std::vector<uint8_t> records(10000 * 3073);
  const std::vector<std::string> names = {"data_batch_1", "data_batch_2", "data_batch_3",
                                          "data_batch_4", "data_batch_5", "test_batch"};
  for (size_t k = 0; k < names.size(); ++k) {
    for (size_t i = 0; i < records.size(); ++i) {
      const size_t record = i / 3073, at = i % 3073;
      records[i] =
          static_cast<uint8_t>(at == 0 ? (record + k) % 10 : (at * 7 + record * 13 + k) % 251);
    }
    write_bytes(folder / (names[k] + ".bin"), records);
  }
}

// As if the sums of these files had been compared with the published ones.
void count_as_checked(const fs::path& folder, const std::vector<PublishedSum>& sums) {
  std::ofstream memory(folder / ".md5-checked");
  for (const PublishedSum& sum : sums) {
    struct stat status {};
    REQUIRE(::stat((folder / sum.file).c_str(), &status) == 0);
    memory << sum.md5 << ' ' << status.st_size << ' ' << status.st_mtim.tv_sec << '.'
           << status.st_mtim.tv_nsec << ' ' << sum.file << '\n';
  }
}

const std::vector<PublishedSum> kCifar10Sums = {
    {"data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"},
    {"data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"},
    {"data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"},
    {"data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"},
    {"data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"},
    {"test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"}};

std::vector<uint8_t> colour(int width, int height, std::array<uint8_t, 3> rgb) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < width * height; ++i) pixels.insert(pixels.end(), rgb.begin(), rgb.end());
  return pixels;
}

void write_png(const fs::path& path, int width, int height, int channels,
               const std::vector<uint8_t>& pixels) {
  fs::create_directories(path.parent_path());
  stbi_write_png(path.c_str(), width, height, channels, pixels.data(), width * channels);
}

void write_jpeg(const fs::path& path, int width, int height, int channels,
                const std::vector<uint8_t>& pixels) {
  fs::create_directories(path.parent_path());
  stbi_write_jpg(path.c_str(), width, height, channels, pixels.data(), 95);
}

std::string load_error(const fs::path& folder) {
  return message_of<DataError>([&] { load_dataset({.name = folder.string(), .image_size = 8}); });
}

// Two classes, two splits, one picture each.
void write_small_folder(const fs::path& root) {
  for (const char* split : {"train", "val"}) {
    write_png(root / split / "ant" / "1.png", 10, 10, 3, colour(10, 10, {200, 10, 10}));
    write_jpeg(root / split / "Bee" / "1.JPEG", 24, 16, 3, colour(24, 16, {10, 10, 200}));
  }
}

}  // namespace

static unsigned char* store_zlib(unsigned char* data, int length, int* out_length, int) {
  std::vector<uint8_t> out = {0x78, 0x01};
  append_stored(data, static_cast<size_t>(length), out);
  uint32_t a = 1, b = 0;  // Adler-32
  for (int i = 0; i < length; ++i) a = (a + data[i]) % 65521, b = (b + a) % 65521;
  for (const uint32_t value : {b >> 8, b, a >> 8, a}) out.push_back(static_cast<uint8_t>(value));
  *out_length = static_cast<int>(out.size());
  return static_cast<unsigned char*>(std::memcpy(std::malloc(out.size()), out.data(), out.size()));
}

TEST_CASE("real CIFAR-10 has the published moments, counts and first pictures") {
  if (!have_cifar10()) return;
  const DataSplits splits = load_dataset({.name = "cifar10"});
  CHECK(splits.train.count == 50000);
  CHECK(splits.test.count == 10000);
  const Moments m = moments(splits.train);
  const double mean[] = {0.49140, 0.48216, 0.44653}, std[] = {0.24703, 0.24349, 0.26159};
  for (int c = 0; c < 3; ++c) {
    CHECK(std::abs(m.mean[c] - mean[c]) < 6e-6);
    CHECK(std::abs(m.std[c] - std[c]) < 6e-6);
    CHECK(splits.train.mean[c] == doctest::Approx(mean[c]));
    CHECK(splits.test.std[c] == doctest::Approx(std[c]));
  }
  for (int label = 0; label < 10; ++label) {
    CHECK(std::ranges::count(splits.train.labels, label) == 5000);
    CHECK(std::ranges::count(splits.test.labels, label) == 1000);
  }
  CHECK(splits.train.classes[splits.train.labels[0]] == "frog");
  CHECK(splits.test.classes[splits.test.labels[0]] == "cat");
  CHECK(fingerprint(splits.train) != fingerprint(splits.test));
}

TEST_CASE("CIFAR-10 records become NHWC pictures") {
  const TemporaryFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  CHECK(contains(
      message_of<DataError>([&] { load_dataset({.name = "cifar10", .data_dir = folder.path()}); }),
      "data_batch_1.bin: its MD5 sum is ec158df3ceaf55ddfb96f8d60d331c10, the "
      "published one 5dd7e06a14cb22eb9f671a540d1b7c25"));
  count_as_checked(folder / "cifar-10-batches-bin", kCifar10Sums);
  for (const fs::path& place : {folder.path(), folder / "cifar-10-batches-bin"}) {
    const DataSplits splits = load_dataset({.name = "cifar10", .data_dir = place});
    REQUIRE(splits.train.count == 50000);
    for (const auto& [i, y, x, c] :
         {std::array{0, 0, 0, 0}, {49999, 31, 31, 2}, {12345, 3, 17, 1}}) {
      const int file = i / 10000, record = i % 10000, at = 1 + c * 1024 + y * 32 + x;
      CHECK(splits.train.image(i)[(y * 32 + x) * 3 + c] == (at * 7 + record * 13 + file) % 251);
      CHECK(splits.train.labels[i] == (record + file) % 10);
    }
    CHECK(splits.test.labels[3] == (3 + 5) % 10);
  }
  const DataSplits doubled =
      load_dataset({.name = "cifar10", .data_dir = folder.path(), .image_size = 64});
  CHECK(doubled.test.height == 64);
  CHECK(doubled.test.images.size() == 10000u * 64 * 64 * 3);
}

TEST_CASE("a cut, missing or wrong CIFAR file is named with expected and actual bytes") {
  const TemporaryFolder folder;
  const fs::path files = folder / "cifar-10-batches-bin";
  write_cifar10(files);
  const auto error = [&] {
    return message_of<DataError>(
        [&] { load_dataset({.name = "cifar10", .data_dir = folder.path()}); });
  };
  std::vector<uint8_t> bytes = read_bytes(files / "data_batch_3.bin");
  fs::resize_file(files / "data_batch_3.bin", 30729999);
  CHECK(contains(error(), "data_batch_3.bin: expected 30730000 bytes, found 30729999"));
  fs::remove(files / "data_batch_3.bin");
  CHECK(contains(error(), "data_batch_3.bin: No such file or directory; expected 30730000 bytes"));
  bytes[3073 * 42] = 10;
  write_bytes(files / "data_batch_3.bin", bytes);
  CHECK(contains(error(), "data_batch_3.bin: record 42 has label 10, labels are 0 to 9"));
  CHECK(!contains(error(), "\n"));
}

TEST_CASE("CIFAR-100 files are checked like those of CIFAR-10") {
  const TemporaryFolder folder;
  const fs::path files = folder / "cifar-100-binary";
  write_bytes(files / "train.bin", std::vector<uint8_t>(1000));
  write_bytes(files / "test.bin", std::vector<uint8_t>(1000));
  const auto error = [&] {
    return message_of<DataError>(
        [&] { load_dataset({.name = "cifar100", .data_dir = folder.path()}); });
  };
  CHECK(contains(error(), "fine_label_names.txt: cannot be read"));
  std::ofstream(files / "fine_label_names.txt") << "apple\n";
  CHECK(contains(error(), "fine_label_names.txt: expected 100 class names, found 1"));
  std::ofstream names(files / "fine_label_names.txt");
  for (int i = 0; i < 100; ++i) names << "name" << i << "\n";
  names.close();
  CHECK(contains(error(), "train.bin: expected 153700000 bytes, found 1000"));
}

TEST_CASE("missing data says where it looked and what to do, in one line") {
  const TemporaryFolder folder;
  const std::string text =
      message_of<DataError>([&] { load_dataset({.name = "cifar10", .data_dir = folder.path()}); });
  for (const char* part : {"cifar10: not found in ", folder.path().c_str(), "make data",
                           "--data shapes", "--data-dir"})
    CHECK(contains(text, part));
  CHECK(!contains(text, "\n"));
  CHECK(contains(message_of<UsageError>([] { load_dataset({.name = "imagenet"}); }),
                 "only its description"));
}

TEST_CASE("an unknown name is answered with the nearest known one") {
  CHECK(contains(message_of<UsageError>([] { load_dataset({.name = "cifar01"}); }),
                 "did you mean \"cifar10\""));
  CHECK(contains(message_of<UsageError>([] { dataset_info("fashon-mnist"); }),
                 "did you mean \"fashion-mnist\""));
  CHECK(contains(message_of<UsageError>([] { dataset_info("zzzzzzzz"); }),
                 "cifar10, cifar100, shapes, fashion-mnist"));
}

TEST_CASE("known sets are described without files") {
  CHECK(dataset_info("imagenet").classes == 1000);
  CHECK(dataset_info("imagenet").height == 224);
  CHECK(dataset_info("cifar100").classes == 100);
  const DatasetInfo drawn = dataset_info(DatasetRequest{
      .name = "shapes", .image_size = 48, .shapes = {.classes = 4, .test_count = 7}});
  CHECK(std::tuple(drawn.form, drawn.classes, drawn.height, drawn.width, drawn.test_count) ==
        std::tuple(DataForm::drawn, int64_t{4}, int64_t{48}, int64_t{48}, int64_t{7}));
  const DataSplits described = described_dataset(dataset_info("imagenet"));
  CHECK(described.test.num_classes() == 1000);
  CHECK(described.test.count == 0);
  CHECK_FALSE(described.test.has_cues());
  for (const DatasetInfo& info : list_datasets()) {
    CHECK(info.classes >= 10);
    CHECK(info.channels == 3);
    CHECK(info.train_count > info.test_count);
    CHECK(!info.source.empty());
  }
}

TEST_CASE("PNG pictures of CIFAR-10 become the official files, byte for byte") {
  const TemporaryFolder folder;
  fs::path official = folder / "official";
  if (have_cifar10() && std::getenv("PASSBAND_DATA"))
    official = fs::path(std::getenv("PASSBAND_DATA")) / "cifar-10-batches-bin";
  if (!fs::exists(official / "test_batch.bin")) write_cifar10(official = folder / "official");
  fs::create_directories(folder / "png");
  std::string train = "[", test = "[";
  stbi_write_force_png_filter = 0;
  const std::vector<std::string> names = {"data_batch_1", "data_batch_2", "data_batch_3",
                                          "data_batch_4", "data_batch_5", "test_batch"};
  for (const std::string& name : names) {
    const std::vector<uint8_t> records = read_bytes(official / (name + ".bin"));
    std::vector<uint8_t> pixels(10000 * 3072);
    for (int i = 0; i < 10000; ++i) {
      std::string& list = name == "test_batch" ? test : train;
      list += (list.size() > 1 ? "," : "") + std::to_string(records[i * 3073]);
      for (int p = 0; p < 1024; ++p)
        for (int c = 0; c < 3; ++c)
          pixels[i * 3072 + p * 3 + c] = records[i * 3073 + 1 + c * 1024 + p];
    }
    write_png(folder / "png" / (name + ".png"), 1024, 10000, 3, pixels);
  }
  std::ofstream(folder / "png" / "train_lables.json") << train << "]";
  std::ofstream(folder / "png" / "test_lables.json") << test << "]";
  import_cifar10_png(folder / "png", folder / "made");
  for (const std::string& name : names)
    CHECK(read_bytes(folder / "made" / (name + ".bin")) == read_bytes(official / (name + ".bin")));
  CHECK(read_cifar10(folder / "made").train.classes[9] == "truck");

  std::ofstream(folder / "png" / "test_lables.json") << "[1, 2";
  const auto error = [&] {
    return message_of<DataError>([&] { import_cifar10_png(folder / "png", folder / "bad"); });
  };
  CHECK(contains(error(), "test_lables.json: not a JSON list of labels"));
  std::ofstream(folder / "png" / "test_lables.json") << "[1, 2]";
  CHECK(contains(error(), "test_lables.json: expected 10000 labels, found 2"));
  for (const std::string& text :
       {std::string(300000, '['), std::string("\"7\""), std::string("true"), std::string("[{}]"),
        std::string("[1.5]"), std::string("[null]")}) {
    std::ofstream(folder / "png" / "test_lables.json") << text;
    CHECK(contains(error(), "test_lables.json: not a JSON list of labels"));
  }
  std::ofstream(folder / "png" / "test_lables.json") << "[[[99999999999999999999999]]]";
  CHECK(contains(error(), "test_lables.json: "));
  std::ofstream(folder / "png" / "test_lables.json") << test << "]";
  write_png(folder / "png" / "data_batch_1.png", 10, 10, 3, colour(10, 10, {1, 2, 3}));
  CHECK(contains(error(), "data_batch_1.png: expected 1024 x 10000 pixels, found 10 x 10"));
}

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
  const std::vector<uint8_t> tables = {0xFF, 0xC4};
  const auto counts = std::ranges::search(file, tables).begin() + 5;  // after length and table id
  std::fill(counts, counts + 16, uint8_t{255});
  write_bytes(bad, file);
  CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: the Huffman tables"));
  for (const size_t fill : {1, 2, 5}) {
    std::vector<uint8_t> filled = file;
    filled.insert(filled.begin(), fill, uint8_t{0xFF});
    write_bytes(bad, filled);
    CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: neither PNG nor JPEG"));
  }
  write_png(bad, 64, 64, 3, noise);
  file = read_bytes(bad);
  for (const ptrdiff_t share : {2, 3, 5}) {
    write_bytes(bad, {file.begin(), file.begin() + std::ssize(file) / share});
    CHECK(contains(load_error(folder.path()), "2.jpg: unreadable picture: damaged data"));
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
  CHECK(contains(load_error(folder.path()), "train: holds no .jpg, .jpeg or .png pictures"));
  write_png(folder / "train" / "a" / "1.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  write_png(folder / "test" / "c" / "1.png", 4, 4, 3, colour(4, 4, {1, 2, 3}));
  CHECK(contains(load_error(folder.path()), "c: no such class in train/"));
  write_bytes(folder / "train" / "b" / "1.webp", {1});
  CHECK(contains(load_error(folder.path()), "1.webp: pictures must be JPEG or PNG"));
}

namespace {

std::vector<uint8_t> idx(std::vector<uint32_t> shape, int modulus) {
  std::vector<uint8_t> out = {0, 0, 8, static_cast<uint8_t>(shape.size())};
  size_t count = 1;
  for (const uint32_t extent : shape) {
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<uint8_t>(extent >> shift));
    count *= extent;
  }
  for (size_t i = 0; i < count; ++i)
    out.push_back(static_cast<uint8_t>(i % static_cast<size_t>(modulus)));
  return out;
}

}  // namespace

TEST_CASE("Fashion-MNIST is read from gzip or plain files and framed to 32 x 32 RGB") {
  const TemporaryFolder folder;
  const fs::path files = folder / "fashion-mnist";
  write_bytes(files / "train-images-idx3-ubyte.gz", gzip_stored(idx({60000, 28, 28}, 251)));
  write_bytes(files / "train-labels-idx1-ubyte.gz", gzip_stored(idx({60000}, 10)));
  write_bytes(files / "t10k-images-idx3-ubyte", idx({10000, 28, 28}, 251));
  write_bytes(files / "t10k-labels-idx1-ubyte", idx({10000}, 10));
  const auto load = [&] {
    return load_dataset({.name = "fashion-mnist", .data_dir = folder.path()});
  };
  const DataSplits splits = load();
  REQUIRE(splits.train.count == 60000);
  CHECK(splits.train.labels[59999] == 9);
  for (int c = 0; c < 3; ++c) {
    CHECK(splits.train.image(7)[((2 + 5) * 32 + 2 + 9) * 3 + c] == (7 * 784 + 5 * 28 + 9) % 251);
    CHECK(splits.train.image(7)[(1 * 32 + 9) * 3 + c] == 0);
    CHECK(splits.test.image(7)[((2 + 27) * 32 + 2 + 27) * 3 + c] == (7 * 784 + 783) % 251);
  }
  const auto error = [&] { return message_of<DataError>(load); };
  std::vector<uint8_t> labels = gzip_stored(idx({60000}, 10));
  labels[30000] ^= 1;
  write_bytes(files / "train-labels-idx1-ubyte.gz", labels);
  CHECK(contains(error(), "train-labels-idx1-ubyte.gz: damaged: the CRC-32"));
  labels.resize(40000);
  write_bytes(files / "train-labels-idx1-ubyte.gz", labels);
  CHECK(contains(
      error(), "train-labels-idx1-ubyte.gz: truncated or damaged: it must inflate to 60008 bytes"));
  write_bytes(files / "train-labels-idx1-ubyte.gz", {'P', 'K'});
  CHECK(contains(error(), "train-labels-idx1-ubyte.gz: not a gzip file"));
  write_bytes(files / "train-labels-idx1-ubyte.gz", gzip_stored(idx({60000}, 11)));
  CHECK(contains(error(), "label 10 of picture 10 is not 0 to 9"));
  write_bytes(files / "train-labels-idx1-ubyte.gz", gzip_stored(idx({2, 30000 - 2}, 10)));
  CHECK(contains(error(), "train-labels-idx1-ubyte.gz: "));
}

TEST_CASE("the fingerprint moves with any byte, label or class name") {
  const Dataset data = counting_dataset(5, 7, 7);
  const uint64_t print = fingerprint(data);
  CHECK(print == fingerprint(counting_dataset(5, 7, 7)));
  for (const size_t at : {size_t{0}, data.images.size() / 2, data.images.size() - 1}) {
    Dataset other = data;
    other.images[at] ^= 0x80;
    CHECK(fingerprint(other) != print);
  }
  Dataset relabelled = data, renamed = data;
  relabelled.labels[4] = 0;
  renamed.classes[2] = "d";
  CHECK(fingerprint(relabelled) != print);
  CHECK(fingerprint(renamed) != print);
}
