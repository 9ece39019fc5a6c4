// Loads weights and names what a picture shows: classify [WEIGHTS.safetensors PICTURE]. Without
// arguments, what shapes_cnn.cpp left in this folder.
//
// Prints:
//   one of disc, square, triangle, plus?
//   picture.png: triangle
#include <cstdio>

#include "shapes_network.h"

using namespace passband;

int main(int count, char** words) try {
  const std::string weights = count > 2 ? words[1] : "shapes.safetensors";
  const std::string file = count > 2 ? words[2] : "picture.png";

  ShapesNetwork network;
  const Metadata metadata = load_weights(weights, network.store);
  std::printf("one of %s?\n", metadata.at("classes").c_str());

  constexpr int64_t kSide = 32;
  std::vector<uint8_t> pixels(3 * kSide * kSide);
  const EncodedPicture picture(file);
  picture.resize(centre_square(picture.height(), picture.width()), pixels.data(), kSide, kSide);
  const DatasetInfo info = dataset_info("shapes");  // as the pictures were normalised in training
  const Shape channels{3};
  const Tensor image =
      (Tensor::from(pixels, {1, kSide, kSide, 3}) / 255 - Tensor::from(info.mean, channels)) /
      Tensor::from(info.std, channels);

  const EvaluationGuard evaluation;
  const auto best = static_cast<size_t>(argmax(network(image), 1).item());
  std::printf("%s: %s\n", file.c_str(), std::string(kShapeNames[best]).c_str());
} catch (const Error& error) {
  std::fprintf(stderr, "classify: %s\n", error.what());
  return 1;
}
