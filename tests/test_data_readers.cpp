// Data sets from files, real CIFAR where present, and from files missing, cut, wrong or unreadable.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <tuple>

#include <sys/stat.h>

#include "data/cifar_png.h"
#include "data/fingerprint.h"
#include "data/image.h"
#include "data/published_sums.h"
#include "data/readers.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

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

}  // namespace

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

namespace {

// A pickle as Python 2 wrote CIFAR's: protocol 2, short and long byte strings, a NumPy array.
class PickleWriter {
 public:
  std::string bytes = "\x80\x02}q\x01(";
  void put(const std::string& text) { bytes += text; }
  void codes(const std::vector<int>& values) {
    for (const int value : values) bytes += static_cast<char>(value);
  }
  void text(const std::string& text) {
    put("U");
    bytes += static_cast<char>(text.size());
    put(text);
  }
  void labels(const std::vector<uint8_t>& values) {
    put("]q\x02(");
    for (const uint8_t value : values) codes({'K', value});
    put("e");
  }
  void array(const std::vector<uint8_t>& elements, int rows) {
    put("cnumpy.core.multiarray\n_reconstruct\nq\x03"
        "cnumpy\nndarray\nq\x04");
    codes({'K', 0, 0x85});
    text("b");
    codes({0x87, 'R', 'q', 5, '(', 'K', 1, 'J'});
    put_number(static_cast<uint32_t>(rows));
    codes({'M', 0x00, 0x0c, 0x86});
    put("cnumpy\ndtype\n");
    text("u1");
    codes({'K', 0, 'K', 1, 0x87, 'R', '(', 'K', 3});
    text("|");
    put("NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK");
    codes({0, 't', 'b', 0x89, 'T'});
    put_number(static_cast<uint32_t>(elements.size()));
    bytes.append(elements.begin(), elements.end());
    put("tb");
  }
  void write(const fs::path& path) {
    put("u.");
    write_bytes(path, {bytes.begin(), bytes.end()});
  }

 private:
  void put_number(uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift);
  }
};

// The batches of CIFAR-10's Python version with the pictures of its binary version.
void write_cifar10_python(const fs::path& binary, const fs::path& folder) {
  for (const std::string name : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                                 "data_batch_5", "test_batch"}) {
    const std::vector<uint8_t> records = read_bytes(binary / (name + ".bin"));
    std::vector<uint8_t> labels, planes;
    for (size_t at = 0; at < records.size(); at += 3073) {
      labels.push_back(records[at]);
      planes.insert(planes.end(), records.begin() + static_cast<ptrdiff_t>(at) + 1,
                    records.begin() + static_cast<ptrdiff_t>(at) + 3073);
    }
    PickleWriter pickle;
    pickle.text("batch_label"), pickle.text("one"), pickle.text("labels"), pickle.labels(labels);
    pickle.text("data"), pickle.array(planes, 10000);
    pickle.write(folder / name);
  }
  PickleWriter meta;
  meta.text("label_names");
  meta.put("](");
  for (const char* name :
       {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"})
    meta.text(name);
  meta.put("e");
  meta.write(folder / "batches.meta");
}

}  // namespace

TEST_CASE("CIFAR-10's Python version gives the pictures of the binary one, archives are named") {
  const TemporaryFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  const Dataset wanted = read_cifar10(folder / "cifar-10-batches-bin").train;
  write_cifar10_python(folder / "cifar-10-batches-bin", folder / "py" / "cifar-10-batches-py");
  const std::string batches = (folder / "py" / "cifar-10-batches-py").string();
  CHECK(contains(message_of<DataError>([&] { load_dataset({.name = batches}); }),
                 "data_batch_1: its MD5 sum is"));
  count_as_checked(batches, {{"data_batch_1", "c99cafc152244af753f735de768cd75f"},
                             {"data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"},
                             {"data_batch_3", "54ebc095f3ab1f0389bbae665268c751"},
                             {"data_batch_4", "634d18415352ddfa80567beed471001a"},
                             {"data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"},
                             {"test_batch", "40351d587109b95175f43aff81a1287e"}});
  for (const DatasetRequest& request :
       {DatasetRequest{.name = "cifar10", .data_dir = folder / "py"}, {.name = batches}}) {
    const Dataset read = load_dataset(request).train;
    CHECK(read.images == wanted.images);
    CHECK(read.labels == wanted.labels);
    CHECK(read.classes == wanted.classes);
    CHECK(read.name == "cifar10");
  }
  CHECK(dataset_info(batches).height == 32);
  std::vector<uint8_t> bytes = read_bytes(batches + "/data_batch_2");
  const auto error = [&](const std::vector<uint8_t>& file) {
    write_bytes(batches + "/data_batch_2", file);
    return message_of<DataError>([&] { load_dataset({.name = batches}); });
  };
  CHECK(contains(error({bytes.begin(), bytes.end() - 500}),
                 "data_batch_2: not a pickle that is "
                 "read here: it is cut short"));
  CHECK(contains(error({0x80, 2, '}', '.'}), "data_batch_2: holds no array of 10000 pictures"));
  CHECK(contains(error({0x80, 2, 'i', '.'}), "data_batch_2: not a pickle"));
  CHECK(contains(error({0x80, 2, 'R', '.'}), "its stack is empty"));
  fs::remove_all(folder / "py");
  write_bytes(folder / "py" / "cifar-10-python.tar.gz", {0x1F, 0x8B});
  CHECK(contains(
      message_of<DataError>([&] { load_dataset({.name = "cifar10", .data_dir = folder / "py"}); }),
      "cifar-10-python.tar.gz is there: unpack it with tar -xf"));
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
    // Flowers-102 is published with six times as many pictures to test on as to train on.
    CHECK((info.train_count > info.test_count) == (info.name != "flowers102"));
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
  // The same bytes, cut at other places.
  Dataset joined = data, shaped = data;
  joined.classes = {"ab", "c"};
  relabelled = data, relabelled.classes = {"a", "bc"};
  CHECK(fingerprint(joined) != fingerprint(relabelled));
  shaped.height = 1, shaped.width = 49;
  CHECK(fingerprint(shaped) != print);
}
