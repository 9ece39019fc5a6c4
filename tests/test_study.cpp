// What analyze makes of its command line: networks of ImageNet's classes on pictures of some.
#include <doctest/doctest.h>

#include "analysis/decisions/calibration_pass.h"
#include "analysis/study/network_file.h"
#include "analysis/study/study.h"
#include "data/augment.h"
#include "data/imagenet_classes.h"
#include "data/jpeg.h"
#include "models/weights.h"
#include "tensor/autograd/node.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"
#include "tests/golden_file.h"
#include "tests/picture_files.h"
#include "tests/test_data_support.h"
#include "tests/worst.h"
#include "train/beginning.h"
#include "train/config.h"

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

TEST_CASE("a file's network is shown pictures of the size that is asked for") {
  const TemporaryFolder folder;
  const std::string file = (folder / "w.safetensors").string();
  save_weights(file, *make_model("vit", {.classes = 10, .image_size = 40, .seed = 1}));
  StudyRequest request{.model = "vit",
                       .weights = file,
                       .data = "shapes",
                       .output = (folder / "report").string(),
                       .img_size = 48};
  Study study;
  make_study(request, study);
  CHECK(study.input.subjects[0].model->options().image_size == 48);
  CHECK(study.input.data->height == 48);
  CHECK(contains(join(study.notes), "resampled (bicubic): pos_embed from 10 x 10 to 12 x 12"));
  request.img_size = 0;
  Study other;
  CHECK(contains(message_of<DataError>([&] { make_study(request, other); }),
                 "--img-size N fits its tables to pictures of N pixels"));
  request.img_size = 46;
  CHECK(contains(message_of<UsageError>([&] { make_study(request, other); }),
                 "patches of 4 pixels do not tile a 46x46 image"));
}

TEST_CASE("the classes of a file's network are named, and labelled pictures matched to them") {
  const TemporaryFolder folder;
  const std::string file = (folder / "w.safetensors").string();
  save_weights(file, *make_model(kModel, {.classes = 3, .image_size = 16, .seed = 1}));
  for (const char* const name : {"cat", "dog"}) {
    fs::create_directories(folder / "set/val" / name);
    write_png(folder / "set/val" / name / "a.png", 20, 18, 3, colour(20, 18, {1, 2, 3}));
  }
  const auto asked = [&](const std::vector<std::string>& classes) {
    return StudyRequest{.model = kModel,
                        .weights = file,
                        .data = (folder / "set/val").string(),
                        .output = (folder / "report").string(),
                        .img_size = 16,
                        .classes = classes};
  };
  write_file_atomically((folder / "names.txt").string(), "bird\r\ndog\ncat\n\n");
  for (const std::vector<std::string>& classes :
       {std::vector<std::string>{"bird", "dog", "cat"}, {(folder / "names.txt").string()}}) {
    Study study;
    make_study(asked(classes), study);
    CHECK(study.data.test.classes == std::vector<std::string>{"bird", "dog", "cat"});
    CHECK(study.data.test.labels == std::vector<int32_t>{2, 1});
    CHECK(study.input.subjects[0].model->options().classes == 3);
    CHECK(contains(join(study.notes), "its 2 classes are matched by name to the 3"));
  }
  const auto refused = [&](const std::vector<std::string>& classes) {
    Study study;
    return message_of<UsageError>([&] { make_study(asked(classes), study); });
  };
  CHECK(contains(refused({}), "name its classes by --classes"));
  CHECK(contains(refused({"cat", "dog"}), "--classes: they are 2, but"));
  CHECK(contains(refused({"cat", "dog", "cat"}), "class 0 is \"cat\" twice"));
  CHECK(contains(refused({"cat", "ant", "bee"}), "(\"dog\")"));
  CHECK(contains(refused({"0"}), "there is at least one"));
  CHECK(contains(refused({"10"}), "--classes: they are 10, but"));

  StudyRequest unlabelled = asked({"bird", "dog", "cat"});
  unlabelled.pictures = unlabelled.data;
  unlabelled.data.clear();
  Study study;
  make_study(unlabelled, study);
  CHECK(study.data.test.classes[2] == "cat");
  CHECK(study.data.test.mean[0] == 0.485f);
}

TEST_CASE("a crop without a filter is refused") {
  const Place place;
  StudyRequest request = place.request();
  request.crop_pct = 0.9;
  Study study;
  CHECK(contains(message_of<UsageError>([&] { make_study(request, study); }),
                 "--crop-pct: belongs to a filter; add --interpolation"));
}

namespace {

// Of golden/make_pictures.py, in the format of timm's hub.
struct GoldenNetwork {
  const char* name;
  const char* model;
  int64_t side;
  const char* config;
};
constexpr GoldenNetwork kGoldenNetworks[] = {
    {"vit", "vit_128x6_patch4_gap", 48,
     R"({"pretrained_cfg": {"input_size": [3, 48, 48], "crop_pct": 0.9, "interpolation": "bicubic",
         "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}})"},
    {"resnet", "C.C.C.C:basic", 80,
     R"({"pretrained_cfg": {"input_size": [3, 80, 80], "crop_pct": 0.875,
         "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406],
         "std": [0.229, 0.224, 0.225]}})"}};

// Weights as the script draws them, with what timm says beside them, and its pictures as a set.
std::string make_golden_files(const GoldenNetwork& network, const TemporaryFolder& folder) {
  const auto model = make_model(network.model, {.image_size = network.side, .seed = 7});
  for (const ParameterRef& p : model->store().parameters()) {
    if (p->shape.rank() != 1) continue;
    auto* const values = p->value.data<float>();
    for (int64_t i = 0; i < p->shape.numel(); ++i)
      values[i] += 0.1f * random_normal({77, 0, site_of(p->name)}, static_cast<uint64_t>(i));
  }
  write_file_atomically((folder / "config.json").string(), network.config);
  for (const char* const split : {"set/train", "set/val"})
    for (const char* const name : {"a.jpg", "b.png", "c.jpg"}) {
      const fs::path place = folder / split / std::string(1, name[0]);
      fs::create_directories(place);
      fs::copy_file(golden_file(std::string("pictures/") + name), place / name,
                    fs::copy_options::overwrite_existing);
    }
  const std::string file = (folder / "w.safetensors").string();
  save_weights(file, *model);
  return file;
}

double worst_difference(const Tensor& logits, const std::vector<double>& wanted) {
  const std::vector<double> values = logits.values();
  REQUIRE(values.size() == wanted.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i)
    worst = numeric::worse(worst, std::abs(values[i] - wanted[i]));
  return worst;
}

}  // namespace

TEST_CASE("from the file of a picture to the logits, analyze and train give timm's") {
  const auto golden = read_safetensors(golden_file("pictures.safetensors"));
  NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  for (const GoldenNetwork& network : kGoldenNetworks) {
    CAPTURE(std::string(network.name));
    const TemporaryFolder folder;
    const std::string file = make_golden_files(network, folder);
    const std::vector<double> wanted = golden.at(network.name).values();
    // stb_image's inverse transform is another one.
    const double tolerance = jpeg_turbo_version() ? 1e-4 : 3e-3;
    const auto shown = [&](StudyRequest request) {
      Study study;
      request.model = network.model;
      request.weights = file;
      request.pictures = golden_file("pictures");
      request.output = (folder / "report").string();
      make_study(request, study);
      const Model& model = *study.input.subjects[0].model;
      return worst_difference(model(network_images(model, *study.input.data, {0, 1, 2})), wanted);
    };
    CHECK(shown({}) < tolerance);
    CHECK(shown({.interpolation = "auto"}) > 2 * tolerance);  // the test can tell

    const RunSettings settings = resolve({{"model", network.model},
                                          {"weights", file},
                                          {"data", (folder / "set").string()},
                                          {"img_size", std::to_string(network.side)}});
    const DataSplits data = load_dataset(dataset_request(settings));
    const auto model = make_model(network.model, {.image_size = network.side});
    begin_weights(settings, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, *model);
    const std::vector<int64_t> all = {0, 1, 2};
    Tensor images = Tensor::empty({3, network.side, network.side, 3});
    make_eval_batch(data.test, all, network.side, images.data<float>());
    CHECK(worst_difference((*model)(images), wanted) < tolerance);
  }
}

TEST_CASE("pictures in memory are shown by the filter and the crop that are named") {
  const RunSettings settings = resolve({{"model", "resnet"},
                                        {"data", "shapes"},
                                        {"shapes_train", "3"},
                                        {"shapes_test", "3"},
                                        {"img_size", "32"},
                                        {"interpolation", "bicubic"},
                                        {"crop_pct", "0.8"}});
  const DataSplits data = load_dataset(dataset_request(settings));
  DatasetRequest plain = dataset_request(settings);
  plain.preprocessing = {};
  const DataSplits before = load_dataset(plain);
  CHECK(data.train.images == before.train.images);  // crops are taken of the whole picture
  std::vector<uint8_t> wanted(32 * 32 * 3);
  preprocess({before.test.images.data(), 32, 32, 32 * 3},
             {.crop_pct = 0.8, .interpolation = PictureFilter::bicubic}, 32, wanted.data());
  CHECK(std::equal(wanted.begin(), wanted.end(), data.test.images.begin()));
  CHECK(data.test.images != before.test.images);
}
