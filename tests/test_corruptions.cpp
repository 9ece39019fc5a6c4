// Corruptions against the libraries of the published programs (golden/make_corruptions.py), their
// files, and the accuracy of networks that know one thing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "analysis/decisions/robustness.h"
#include "analysis/registry.h"
#include "data/augment.h"
#include "models/weights.h"
#include "tensor/core/parallel.h"
#include "tests/golden_file.h"
#include "tests/test_analysis_models.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;

namespace {

constexpr uint64_t kSeed = 3;
constexpr int64_t kIndex = 7;

std::vector<uint8_t> bytes_of(const Tensor& tensor) {
  const auto* begin = tensor.data<uint8_t>();
  return {begin, begin + tensor.numel()};
}

std::vector<uint8_t> corrupted(Corruption kind, int severity, const std::vector<uint8_t>& picture,
                               int64_t side, uint64_t seed = kSeed, int64_t index = kIndex) {
  std::vector<uint8_t> out(picture.size());
  corrupt(kind, severity, picture.data(), side, seed, index, out.data());
  return out;
}

double mean_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += std::abs(int{a[i]} - int{b[i]});
  return total / static_cast<double>(a.size());
}

const std::map<std::string, Tensor>& golden() {
  static const auto tensors = read_safetensors(golden_file("corruptions.safetensors"));
  return tensors;
}

std::vector<uint8_t> golden_picture(int64_t side) {
  return bytes_of(golden().at("picture_" + std::to_string(side)));
}

struct Agreement {
  double mean = 0, share_beyond_one = 0;  // of |difference| in 255ths
};

// Over all severities of a kind.
Agreement compare(Corruption kind, int64_t side) {
  const std::vector<uint8_t> picture = golden_picture(side);
  const std::vector<uint8_t> wanted = bytes_of(golden().at(concat_text(name_of(kind), "_", side)));
  const size_t places = wanted.size() / kSeverities;
  Agreement result;
  for (int severity = 1; severity <= kSeverities; ++severity) {
    const std::vector<uint8_t> got = corrupted(kind, severity, picture, side);
    for (size_t i = 0; i < places; ++i) {
      const int d = std::abs(int{got[i * picture.size() / places]} -
                             int{wanted[static_cast<size_t>(severity - 1) * places + i]});
      result.mean += d / static_cast<double>(wanted.size());
      result.share_beyond_one += (d > 1) / static_cast<double>(wanted.size());
    }
  }
  return result;
}

// Dark pictures of class 0 and bright ones of class 1, and the network that tells them apart by
// their mean.
Dataset dark_and_bright(int64_t count, int64_t side) {
  Dataset data{.name = "grey", .split = "test", .count = count, .height = side, .width = side};
  data.classes = {"dark", "bright"};
  data.std = {1, 1, 1};
  for (int64_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<int32_t>(i % 2));
    data.images.insert(data.images.end(), static_cast<size_t>(data.image_bytes()),
                       i % 2 ? 160 : 110);
  }
  const float middle = 130.0f / 255;
  data.mean = {middle, middle, middle};
  return data;
}

std::shared_ptr<LinearModel> brightness_network(int64_t side) {
  auto model = std::make_shared<LinearModel>(side, 2);
  float* weights = model->store().values().data<float>();
  std::fill_n(weights + 3 * side * side, 3 * side * side, 1.0f);
  model->store().touch();
  return model;
}

std::vector<uint8_t> npy(const std::string& type, const std::string& shape,
                         const std::vector<uint8_t>& body) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((header.size() + 10 + 63) / 64 * 64 - 10, ' ');
  std::vector<uint8_t> bytes = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  bytes.push_back(static_cast<uint8_t>(header.size() & 255));
  bytes.push_back(static_cast<uint8_t>(header.size() >> 8));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

}  // namespace

TEST_CASE("corruptions equal the published programs' libraries to one grey level") {
  for (const int64_t side : {32, 96})
    for (int i = 0; i < kCorruptions; ++i) {
      const Corruption kind = corruption_at(i);
      if (kind == Corruption::frost || kind == Corruption::jpeg_compression) continue;
      const Agreement a = compare(kind, side);
      INFO(name_of(kind), " at ", side, ": mean ", a.mean, ", beyond one ", a.share_beyond_one);
      // scipy takes what rounding puts a hair outside of the zoomed picture for black.
      CHECK(a.mean < (kind == Corruption::zoom_blur ? 0.1 : 0.05));
      CHECK(a.share_beyond_one < 0.005);
    }
}

TEST_CASE("JPEG loses what libjpeg loses, to less than half a grey level on average") {
  for (const int64_t side : {32, 96}) {
    const Agreement a = compare(Corruption::jpeg_compression, side);
    INFO(side, ": mean ", a.mean, ", beyond one ", a.share_beyond_one);
    CHECK(a.mean < 0.5);
    CHECK(a.share_beyond_one < 0.1);
  }
}

TEST_CASE("a corruption is a function of seed, kind, severity and index") {
  const std::vector<uint8_t> picture = golden_picture(32);
  for (int i = 0; i < kCorruptions; ++i) {
    const Corruption kind = corruption_at(i);
    INFO(name_of(kind));
    CHECK(corrupted(kind, 3, picture, 32) == corrupted(kind, 3, picture, 32));
    CHECK(corrupted(kind, 3, picture, 32) != picture);
  }
  for (const Corruption kind : {Corruption::gaussian_noise, Corruption::snow, Corruption::frost,
                                Corruption::fog, Corruption::elastic_transform}) {
    CHECK(corrupted(kind, 3, picture, 32, kSeed, 8) != corrupted(kind, 3, picture, 32));
    CHECK(corrupted(kind, 3, picture, 32, 4) != corrupted(kind, 3, picture, 32));
  }
}

TEST_CASE("higher severities change a picture more") {
  const std::vector<uint8_t> picture = golden_picture(32);
  for (const Corruption kind :
       {Corruption::gaussian_noise, Corruption::shot_noise, Corruption::speckle_noise,
        Corruption::brightness, Corruption::contrast, Corruption::zoom_blur,
        Corruption::gaussian_blur}) {
    INFO(name_of(kind));
    double before = 0;
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const double change = mean_difference(corrupted(kind, severity, picture, 32), picture);
      CHECK(change > before);
      before = change;
    }
  }
}

TEST_CASE("frost adds bluish light up to its published weight") {
  const double weights[] = {0.2, 0.3, 0.4, 0.4, 0.45};
  const std::vector<uint8_t> black(32 * 32 * 3);
  for (int severity = 1; severity <= kSeverities; ++severity) {
    const std::vector<uint8_t> frosted = corrupted(Corruption::frost, severity, black, 32);
    const double most = 255 * weights[severity - 1];
    CHECK(*std::ranges::max_element(frosted) <= most);
    CHECK(mean_difference(frosted, black) > 0.25 * most);
    for (size_t i = 0; i < frosted.size(); i += 3) CHECK(frosted[i] <= frosted[i + 2]);
  }
}

TEST_CASE("a batch is cropped, corrupted and normalised, whatever the number of threads") {
  const Dataset data = random_pictures(6, 24, 3, 2);
  const std::vector<int64_t> indices = {4, 1, 5};
  constexpr int64_t kSide = 20, kValues = kSide * kSide * 3;
  std::vector<float> one(3 * kValues), two(3 * kValues);
  make_corrupted_batch(data, indices, kSide, Corruption::fog, 2, 1, one.data());
  const int threads = thread_count();
  set_thread_count(1);
  make_corrupted_batch(data, indices, kSide, Corruption::fog, 2, 1, two.data());
  set_thread_count(threads);
  CHECK(one == two);
  std::vector<uint8_t> crop;
  for (int64_t y = 2; y < 22; ++y)
    for (int64_t k = 2 * 3; k < 22 * 3; ++k) crop.push_back(data.image(1)[y * 24 * 3 + k]);
  const std::vector<uint8_t> broken = corrupted(Corruption::fog, 2, crop, kSide, 1, 1);
  for (int64_t k = 0; k < kValues; ++k)
    CHECK(one[static_cast<size_t>(kValues + k)] ==
          doctest::Approx((broken[static_cast<size_t>(k)] / 255.0 - 0.5) / 0.25).epsilon(1e-5));
  CHECK_THROWS_AS(make_corrupted_batch(data, indices, 25, Corruption::fog, 2, 1, one.data()),
                  Error);
  CHECK_THROWS_AS(make_corrupted_batch(data, indices, kSide, Corruption::fog, 6, 1, one.data()),
                  Error);
}

TEST_CASE("pictures and labels of CIFAR-10-C files are read by severity and number") {
  const TemporaryFolder folder;
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 5 * 3; ++i) pixels.insert(pixels.end(), 16 * 16 * 3, static_cast<uint8_t>(i));
  write_bytes(folder / "fog.npy", npy("|u1", "(15, 16, 16, 3)", pixels));
  CHECK(
      contains(message_of<DataError>([&] { CorruptionFiles files(folder.path()); }), "labels.npy"));
  write_bytes(folder / "labels.npy",
              npy("|u1", "(15,)", {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}));
  const CorruptionFiles files(folder.path());
  CHECK(files.count() == 3);
  CHECK(files.side() == 16);
  CHECK(files.labels() == std::vector<int32_t>{0, 1, 2});
  CHECK(files.has(Corruption::fog));
  CHECK(!files.has(Corruption::snow));
  const std::vector<uint8_t> read = files.read(Corruption::fog, 4, std::vector<int64_t>{2, 0});
  CHECK(read.size() == 2 * 16 * 16 * 3);
  CHECK(read.front() == 11);
  CHECK(read.back() == 9);
  CHECK_THROWS_AS(files.read(Corruption::snow, 1, std::vector<int64_t>{0}), Error);
  CHECK_THROWS_AS(files.read(Corruption::fog, 1, std::vector<int64_t>{3}), Error);
}

TEST_CASE("damaged corruption files are refused by name and reason") {
  const TemporaryFolder folder;
  write_bytes(folder / "labels.npy", npy("|u1", "(1,)", {0}));
  const auto message = [&](const std::vector<uint8_t>& bytes) {
    write_bytes(folder / "snow.npy", bytes);
    return message_of<DataError>([&] { CorruptionFiles files(folder.path()); });
  };
  const std::vector<uint8_t> pixels(5 * 16 * 16 * 3);
  CHECK(message(npy("|u1", "(5, 16, 16, 3)", pixels)).empty());
  CHECK(contains(message({'n', 'o'}), "snow.npy: is not a .npy file"));
  CHECK(contains(message(npy("<f4", "(5, 16, 16, 3)", pixels)), "8-bit pictures"));
  CHECK(contains(message(npy("|u1", "(5, 16, 15, 3)", pixels)), "8-bit pictures"));
  CHECK(contains(message(npy("|u1", "(10, 16, 16, 3)", pixels)), "its header says"));
  CHECK(contains(message(npy("|u1", "(5, 16, -6, 3)", pixels)), "malformed"));
  CHECK(contains(message(npy("|u1", "(99999999999999999999,)", pixels)), "malformed"));
  for (const std::string shape : {"(2147483648, 2147483648, 2147483648, 2147483648)",
                                  "(4294967295,)", "(2147483648, 2147483648, 4, 0)"})
    CHECK(!message(npy("|u1", shape, pixels)).empty());
  CHECK(message(npy("|u1", "(5, 16, 16, 3)", pixels)).empty());
  for (const std::vector<uint8_t>& label :
       {std::vector<uint8_t>{3, 0, 1, 0}, std::vector<uint8_t>{255, 255, 255, 255}}) {
    write_bytes(folder / "labels.npy", npy("<i4", "(1,)", label));
    CHECK(contains(message_of<DataError>([&] { CorruptionFiles files(folder.path()); }),
                   "labels.npy: label 0 is "));
  }
  write_bytes(folder / "labels.npy", npy("|u1", "(1,)", {0}));
  std::vector<uint8_t> cut = npy("|u1", "(5, 16, 16, 3)", pixels);
  cut.resize(40);
  CHECK(contains(message(cut), "ends within"));
}

TEST_CASE(
    "a network that judges by brightness falls for brightness, not "
    "for contrast, through the whole analysis") {
  const Dataset data = dark_and_bright(10, 16);
  AnalysisInput input{.subjects = {{.label = "brightness", .model = brightness_network(16)}},
                      .data = &data};
  const std::vector<CorruptionScores> scores =
      measure_corruptions(input.subjects, data, {.images = 10});
  REQUIRE(scores.size() == 1);
  CHECK(scores[0].clean == 1);
  CHECK(scores[0].mean(Corruption::contrast) == 1);
  CHECK(scores[0].mean(Corruption::pixelate) == 1);
  // +0.05 leaves the dark pictures dark (0.43 + 0.05 < 0.51), +0.1 does not.
  const auto& bright = scores[0].accuracy[static_cast<size_t>(Corruption::brightness)];
  CHECK(bright == std::array<double, 5>{1, 0.5, 0.5, 0.5, 0.5});
  CHECK(scores[0].mean(Corruption::brightness) == doctest::Approx(0.6));
  // What each picture shows, over the pictures, is what each severity shows, over the severities.
  for (const CorruptionGroup group : {CorruptionGroup::noise, CorruptionGroup::blur,
                                      CorruptionGroup::weather, CorruptionGroup::digital}) {
    double by_severity = 0;
    for (int severity = 1; severity <= kSeverities; ++severity)
      by_severity += scores[0].mean(group, severity) / kSeverities;
    const std::vector<double>& pictures = scores[0].pictures[static_cast<size_t>(group)];
    REQUIRE(pictures.size() == 10);
    CHECK(std::accumulate(pictures.begin(), pictures.end(), 0.0) / 10 ==
          doctest::Approx(by_severity).epsilon(1e-9));
  }

  const Analysis& analysis = find_analysis("robustness");
  const Section section = run_analysis(analysis, with_settings(input, analysis));
  REQUIRE(section.figures.size() == 3);
  for (const plot::Figure& figure : section.figures) plot::check(figure);
  CHECK(section.figures[2].pictures.cells.size() == 20);
  const auto value =
      std::ranges::find(section.values, "mean_corruption_accuracy", &ReportValue::key);
  CHECK(value->value == doctest::Approx(scores[0].mean_common()));
  CHECK(section.finding.find("brightness is right in 100.0 % of clean") == 0);
}

TEST_CASE("files stand in for pictures made here") {
  const TemporaryFolder folder;
  const Dataset data = dark_and_bright(4, 16);
  std::vector<uint8_t> pixels;
  for (int severity = 1; severity <= 5; ++severity)
    for (int i = 0; i < 4; ++i)
      pixels.insert(pixels.end(), 16 * 16 * 3,
                    static_cast<uint8_t>(severity <= 2 ? (i % 2 ? 160 : 110) : 200));
  write_bytes(folder / "defocus_blur.npy", npy("|u1", "(20, 16, 16, 3)", pixels));
  write_bytes(folder / "labels.npy", npy("<i8", "(4,)", [] {
                std::vector<uint8_t> labels(32);
                labels[8] = labels[24] = 1;
                return labels;
              }()));
  const CorruptionFiles files(folder.path());
  const std::vector<Subject> subjects = {{.label = "brightness", .model = brightness_network(16)}};
  const std::vector<CorruptionScores> scores =
      measure_corruptions(subjects, data, {.images = 4, .files = &files});
  CHECK(scores[0].accuracy[static_cast<size_t>(Corruption::defocus_blur)] ==
        std::array<double, 5>{1, 1, 0.5, 0.5, 0.5});
  CHECK(scores[0].pictures[static_cast<size_t>(CorruptionGroup::noise)].empty());
  // Dark pictures read as bright from the third severity on.
  std::vector<double> blurred = scores[0].pictures[static_cast<size_t>(CorruptionGroup::blur)];
  std::ranges::sort(blurred);
  REQUIRE(blurred.size() == 4);
  CHECK(blurred[1] == doctest::Approx(0.4));
  CHECK(blurred[2] == doctest::Approx(1));
  CHECK(scores[0].mean_common() == doctest::Approx(0.7));
  CHECK(std::isnan(scores[0].mean(Corruption::fog)));
}
