// Trains a convolutional network on pictures of figures, and keeps it and a picture for
// classify.cpp.
//
// Prints:
//   more than 90 % of the test pictures are named rightly
//   wrote shapes.safetensors, and the picture of a triangle as picture.png
#include "shapes_network.h"

#include <cstdio>

#include <passband/analysis/report/png.h>
#include <passband/tensor/core/file.h>

using namespace passband;

namespace {

// The share of pictures that the network names rightly.
double accuracy(const ShapesNetwork& network, const Dataset& data) {
  const EvaluationGuard evaluation;
  const NoGrad no_gradients;
  BatchLoader loader(data, {.batch_size = data.count, .train = false});
  const Batch& all = loader.next();
  const std::vector<double> named = argmax(network(all.images), 1).values();
  double right = 0;
  for (size_t i = 0; i < named.size(); ++i) right += named[i] == all.labels[i];
  return right / static_cast<double>(all.size);
}

}  // namespace

int main() {
  // Outline and texture agree, so that either names the figure.
  const DataSplits data = make_shapes(
      {.size = 32, .classes = kClasses, .train_count = 2000, .test_count = 200, .conflict = 0});
  BatchLoader loader(data.train, {.batch_size = 64});
  ShapesNetwork network;
  Optimizer optimizer(network.store, Sgd{.weight_decay = 1e-4});
  const TrainingGuard training;
  constexpr int kSteps = 120;
  for (int step = 0; step < kSteps; ++step) {
    const Batch& batch = loader.next();
    const Tensor labels = Tensor::from(batch.labels, {batch.size}, DType::i32);
    backward(cross_entropy(network(batch.images), labels));
    optimizer.step(/*lr=*/0.1 * (1 - 1.0 * step / kSteps));
  }
  std::printf("%s than 90 %% of the test pictures are named rightly\n",
              accuracy(network, data.test) > 0.9 ? "more" : "less");

  save_weights("shapes.safetensors", network.store, {{"classes", "disc, square, triangle, plus"}});
  const PictureBytes picture = data.test.image(2);
  const std::span pixels(picture.data(), static_cast<size_t>(data.test.image_bytes()));
  write_file_atomically("picture.png", plot::encode_png(pixels, 32, 32, 3));
  std::printf("wrote shapes.safetensors, and the picture of a %s as picture.png\n",
              data.test.classes[static_cast<size_t>(data.test.labels[2])].c_str());
}
