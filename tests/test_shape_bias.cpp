// Shape or texture: decisions, their bias, agreement of two networks, and the cue-conflict
// pictures.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "analysis/decisions/imagenet_categories.h"
#include "analysis/decisions/shape_bias.h"
#include "analysis/report/png.h"
#include "data/imagenet_classes.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/tiny_network.h"

using namespace passband;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("passband-stimuli-" + std::to_string(::getpid()))) {
    fs::create_directories(path_ / "cat");
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  void picture(const std::string& name, uint8_t grey = 7) const {
    const std::vector<uint8_t> pixels(8 * 8 * 3, grey);
    write_file_atomically((path_ / name).string(), plot::encode_png(pixels, 8, 8, 3));
  }
  fs::path text(const std::string& content) const {
    write_file_atomically((path_ / "mapping.txt").string(), content);
    return path_ / "mapping.txt";
  }

 private:
  fs::path path_;
};

Dataset cifar_like() {
  return {.name = "like",
          .height = 32,
          .width = 32,
          .classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse",
                      "ship", "truck"},
          .mean = {0.5f, 0.4f, 0.3f},
          .std = {0.2f, 0.2f, 0.2f}};
}

}  // namespace

TEST_CASE(
    "60 decisions for the shape and 20 for the texture among "
    "1200 pictures are a shape bias of 0.75") {
  std::vector<int32_t> decided(1200, 3), shapes(1200, 1), textures(1200, 2);
  std::fill_n(decided.begin(), 60, 1);
  std::fill_n(decided.begin() + 60, 20, 2);
  const CueDecisions counts = count_decisions(decided, shapes, textures, 4);
  CHECK(counts.pictures == 1200);
  CHECK(counts.bias() == 0.75);
  CHECK(counts.shape_of[1] == 60);
  CHECK(counts.texture_of[1] == 20);
}

TEST_CASE("pictures whose cues agree do not count, and no decision for either cue is no bias") {
  const CueDecisions counts = count_decisions({0, 1, 2}, {0, 1, 0}, {0, 1, 1}, 3);
  CHECK(counts.pictures == 1);
  CHECK(std::isnan(counts.bias()));
}

TEST_CASE(
    "error consistency: 1 for the same answers, about 0 for "
    "independent ones, -1 for opposite ones") {
  std::vector<bool> a, b, opposite;
  for (uint64_t i = 0; i < 4000; ++i) {
    a.push_back(random_uniform({1, 0, 1}, i) < 0.5f);
    b.push_back(random_uniform({1, 0, 2}, i) < 0.7f);
    opposite.push_back(i % 2 == 0);
  }
  CHECK(error_consistency(a, a) == doctest::Approx(1));
  CHECK(std::abs(error_consistency(a, b)) < 4 / std::sqrt(4000.0));
  std::vector<bool> other = opposite;
  other.flip();
  CHECK(error_consistency(opposite, other) == doctest::Approx(-1));
  CHECK(std::isnan(error_consistency({true, true}, {true, true})));
}

TEST_CASE("error consistency of a small table is what counting by hand gives") {
  // p1 = 3/4, p2 = 1/2, observed 3/4, expected 3/8 + 1/8.
  CHECK(error_consistency({true, true, true, false}, {true, true, false, false}) ==
        doctest::Approx(0.5));
}

TEST_CASE("a category is the mean, sum or largest of its classes' probabilities") {
  // Probabilities 0.4, 0.35, 0.25 in categories {0} and {1, 2}: mean 0.4 > 0.3, sum 0.4 < 0.6, max
  // 0.4 > 0.35.
  const std::vector<double> logits = {std::log(0.4), std::log(0.35), std::log(0.25)};
  const std::vector<std::vector<int64_t>> members = {{0}, {1, 2}, {}};
  CHECK(decide(logits, 3, members, Pool::mean)[0] == 0);
  CHECK(decide(logits, 3, members, Pool::sum)[0] == 1);
  CHECK(decide(logits, 3, members, Pool::max)[0] == 0);
}

TEST_CASE("every built-in conflict picture has two cues, other pictures for another seed") {
  Dataset like = cifar_like();
  const ConflictPictures one = shapes_conflicts(like, 50, 1), again = shapes_conflicts(like, 50, 1);
  const ConflictPictures two = shapes_conflicts(like, 50, 2);
  for (size_t i = 0; i < 50; ++i) CHECK(one.pictures.shape_ids[i] != one.pictures.texture_ids[i]);
  CHECK(one.pictures.images == again.pictures.images);
  CHECK(one.pictures.images != two.pictures.images);
  CHECK(one.pictures.mean == like.mean);
}

TEST_CASE(
    "stimuli are read by the published naming, with categories "
    "as the network's classes of that name") {
  const Folder folder;
  folder.picture("cat/cat7-dog3.png", 10);
  folder.picture("cat/cat1-car2.png", 20);
  folder.picture("cat/cat1-cat2.png");    // cues agree
  folder.picture("cat/cat1-clock2.png");  // no clock among the classes
  const ConflictPictures read = folder_conflicts(folder.path(), {}, cifar_like());
  CHECK(read.pictures.count == 2);
  CHECK(read.left_out == 2);
  const auto name = [&](int32_t category) {
    return read.categories[static_cast<size_t>(category)];
  };
  CHECK(name(read.pictures.shape_ids[0]) == "cat");
  CHECK(name(read.pictures.texture_ids[0]) == "car");
  CHECK(read.members[static_cast<size_t>(read.pictures.texture_ids[0])] == std::vector<int64_t>{1});
  CHECK(read.pictures.image(0)[0] == 20);
  CHECK(read.pictures.image(1)[0] == 10);
}

TEST_CASE("a mapping names the classes of a category") {
  const Folder folder;
  folder.picture("pet1-vehicle2.png");
  const fs::path mapping =
      folder.text("# animals and machines\npet: cat dog\nvehicle: truck ship automobile\n");
  const ConflictPictures read = folder_conflicts(folder.path(), mapping, cifar_like());
  CHECK(read.members[0] == std::vector<int64_t>{3, 5});
  CHECK(read.members[1] == std::vector<int64_t>{9, 8, 1});
  const fs::path wrong = folder.text("pet: cat\nvehicle: trucks\n");
  CHECK_THROWS_WITH_AS(folder_conflicts(folder.path(), wrong, cifar_like()),
                       doctest::Contains("truck"), DataError);
  // ImageNet's names have spaces: its classes go by number, WordNet id or one of their words too.
  Dataset imagenet = cifar_like();
  imagenet.classes = imagenet_class_names();
  const fs::path numbers = folder.text("pet: 281 n02123159 tench\nvehicle: 404\n");
  const ConflictPictures known = folder_conflicts(folder.path(), numbers, imagenet);
  CHECK(known.members[0] == std::vector<int64_t>{281, 282, 0});
  CHECK(known.members[1] == std::vector<int64_t>{404});
}

TEST_CASE(
    "a network of ImageNet knows the 16 categories by the places "
    "of its 1000 classes, or by WordNet ids") {
  std::vector<std::string> numbers;
  for (int i = 0; i < 1000; ++i) numbers.push_back(std::to_string(i));
  // Members of each category, as published.
  const std::map<std::string, size_t> published = {
      {"airplane", 1}, {"bear", 4},  {"bicycle", 2}, {"bird", 49}, {"boat", 5},  {"bottle", 7},
      {"car", 3},      {"cat", 6},   {"chair", 4},   {"clock", 3}, {"dog", 109}, {"elephant", 2},
      {"keyboard", 2}, {"knife", 1}, {"oven", 1},    {"truck", 8}};
  std::set<int64_t> seen;
  for (const auto& [category, count] : published) {
    CAPTURE(category);
    const std::vector<int64_t> members = imagenet_members(category, numbers);
    CHECK(members.size() == count);
    CHECK(std::ranges::is_sorted(members));
    seen.insert(members.begin(), members.end());
  }
  CHECK(seen.size() == 207);  // no class in two categories
  CHECK(imagenet_members("airplane", numbers) == std::vector<int64_t>{404});
  CHECK(imagenet_members("cat", numbers) == std::vector<int64_t>{281, 282, 283, 284, 285, 286});
  CHECK(imagenet_members("table", numbers).empty());
  CHECK(imagenet_members("cat", cifar_like().classes).empty());
  // Tench, tabby, tiger cat, airliner, cleaver: part of ImageNet, in another order.
  const std::vector<std::string> part = {"n02123045", "n03041632", "n01440764", "n02690373",
                                         "n02123159"};
  CHECK(imagenet_members("cat", part) == std::vector<int64_t>{0, 4});
  CHECK(imagenet_members("knife", part) == std::vector<int64_t>{1});
  CHECK(imagenet_members("dog", part).empty());
}

TEST_CASE(
    "a network of 1000 classes is judged on published stimuli "
    "without a mapping or ImageNet's pictures") {
  const Folder folder;
  const uint8_t dark = 10, bright = 250;
  folder.picture("cat/cat1-bear2.png", dark);
  folder.picture("cat/cat2-bear7.png", dark);
  folder.picture("cat/cat3-bear1.png", bright);
  folder.picture("cat/bear4-cat2.png", dark);
  folder.picture("cat/oven1-oven2.png", dark);  // cues agree
  // Tiger cat (282) in the dark, American black bear (295) in the light.
  const Subject network = passband::testing::subject("reader", 8, 1000, [](const Tensor& images) {
    Tensor direction = Tensor::zeros({1, 1000});
    direction.data<float>()[282] = -1;
    direction.data<float>()[295] = 1;
    return reshape(mean(images, {1, 2, 3}), Shape{images.size(0), 1}) * direction;
  });
  Dataset described{
      .name = "imagenet", .height = 8, .width = 8, .mean = {0.5f, 0.5f, 0.5f}, .std = {1, 1, 1}};
  for (int i = 0; i < 1000; ++i) described.classes.push_back(std::to_string(i));
  const Section section = passband::testing::run_named(
      "shape-bias", {network}, described, {{"shape-bias.folder", folder.path().string()}});
  CHECK(section.finding.find("for the shape in 2 and for the texture in 2 of 4 pictures") !=
        std::string::npos);
  CHECK(section.values.at(0).value == 0.5);
  const Section without = passband::testing::run_named("variance", {network}, described);
  CHECK(without.finding ==
        "Does not apply. imagenet is known by its description only: pass the folder that holds "
        "train/ and val/ as --data.");
}

TEST_CASE("a folder without stimuli, with other names or unknown categories is named") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(folder_conflicts(folder.path(), {}, cifar_like()),
                       doctest::Contains("holds no"), DataError);
  folder.picture("clock1-knife2.png");
  CHECK_THROWS_WITH_AS(folder_conflicts(folder.path(), {}, cifar_like()),
                       doctest::Contains("mapping"), DataError);
  folder.picture("holiday.png");
  CHECK_THROWS_WITH_AS(folder_conflicts(folder.path(), {}, cifar_like()),
                       doctest::Contains("holiday.png"), DataError);
}
