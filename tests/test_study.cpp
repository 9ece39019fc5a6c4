// What analyze makes of its command line: networks of ImageNet's classes on pictures of some.
#include <doctest/doctest.h>

#include "analysis/decisions/calibration_pass.h"
#include "analysis/study/network_file.h"
#include "analysis/study/study.h"
#include "data/imagenet_classes.h"
#include "models/weights.h"
#include "tensor/autograd/node.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"

using namespace passband;
using namespace passband::testing;
namespace fs = std::filesystem;

namespace {

constexpr const char* kModel = "C.C:width=8,basic";

// A network of 1000 classes in a file, and pictures of three of them, one called by its id.
struct Place {
  TemporaryFolder folder;
  Place() {
    for (const uint64_t seed : {1, 2}) {
      const auto model = make_model(kModel, {.classes = 1000, .image_size = 224, .seed = seed});
      save_weights((folder / ("w" + std::to_string(seed) + ".safetensors")).string(), *model);
    }
    uint8_t grey = 20;
    for (const char* const name : {"n01440764", "English_springer", "parachute"})
      for (const char* const picture : {"a.png", "b.png"}) {
        fs::create_directories(folder / "set/val" / name);
        write_png(folder / "set/val" / name / picture, 64, 50, 3,
                  colour(64, 50, {grey, 90, static_cast<uint8_t>(255 - grey)}));
        grey = static_cast<uint8_t>(grey + 35);
      }
  }
  StudyRequest request() const {
    return {.model = kModel,
            .weights = (folder / "w1.safetensors").string(),
            .data = (folder / "set/val").string(),
            .output = (folder / "report").string()};
  }
};

}  // namespace

TEST_CASE("a network of 1000 classes is judged on pictures of three, among all and among these") {
  const Place place;
  Study study;
  make_study(place.request(), study);
  const Dataset& data = *study.input.data;
  CHECK(data.num_classes() == 1000);
  CHECK(data.shown_classes() == std::vector<int32_t>{0, 217, 701});
  CHECK(study.input.subjects[0].model->options().image_size == 224);
  int64_t right = 0, among = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    NoGrad no_grad;
    const ContextGuard mode({.training = false, .compute = DType::f32});
    const Model& model = *study.input.subjects[0].model;
    const std::vector<double> logits = model(network_images(model, data, {i})).values();
    const auto truth = static_cast<size_t>(data.labels[static_cast<size_t>(i)]);
    bool best = true, best_among = true;
    for (size_t c = 0; c < 1000; ++c) {
      best = best && logits[truth] >= logits[c];
      if (c == 0 || c == 217 || c == 701) best_among = best_among && logits[truth] >= logits[c];
    }
    right += best;
    among += best_among;
  }
  const CalibrationResult result = calibrations(study.input, 15)[0];
  CHECK(result.count == 6);
  CHECK(result.shown_classes == 3);
  CHECK(result.accuracy == doctest::Approx(static_cast<double>(right) / 6));
  CHECK(result.accuracy_among_shown == doctest::Approx(static_cast<double>(among) / 6));
  CHECK(among > 0);
}

TEST_CASE("two files stand side by side, and a file of other classes is refused") {
  const Place place;
  StudyRequest request = place.request();
  request.against = {(place.folder / "w2.safetensors").string()};
  Study study;
  make_study(request, study);
  REQUIRE(study.input.subjects.size() == 2);
  CHECK(study.input.subjects[0].label == kModel);
  CHECK(study.input.subjects[1].label == "w2");
  CHECK(study.input.subjects[0].fingerprint != study.input.subjects[1].fingerprint);

  const auto other = make_model("C.C:width=16,basic", {.classes = 10});
  save_weights((place.folder / "ten.safetensors").string(), *other);
  request.against = {"C.C:width=16,basic=" + (place.folder / "ten.safetensors").string()};
  Study refused;
  CHECK(contains(message_of<UsageError>([&] { make_study(request, refused); }),
                 "it knows 10 classes, C.C:width=8,basic knows 1000"));
}

TEST_CASE("pictures of classes that a network does not know are refused by name") {
  const Place place;
  StudyRequest request = place.request();
  fs::rename(place.folder / "set/val/parachute", place.folder / "set/val/unicorn");
  Study study;
  const std::string text = message_of<UsageError>([&] { make_study(request, study); });
  CHECK(contains(text, "1 of its 3 classes (\"unicorn\")"));
  CHECK(contains(text, "--pictures FOLDER"));
}

TEST_CASE("a file tells how many classes its network knows") {
  const Place place;
  const std::string file = (place.folder / "w1.safetensors").string();
  CHECK(classes_in(file, kModel) == 1000);
  CHECK(made_for(1000, "").name == "imagenet");
  CHECK(made_for(100, "").name == "cifar100");
  CHECK(made_for(10, "imagenette").height == 128);
  CHECK(made_for(37, "").classes == 37);
}
