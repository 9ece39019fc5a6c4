// Tiny networks with known weights and pictures of noise, for tests of whole analyses.
#pragma once
#include "data/dataset.h"
#include "models/model.h"
#include "tensor/core/random.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape.h"

namespace passband::testing {

// logits = W pixels, W (classes, 3 size^2) of zeros: softmax regression.
class LinearModel final : public Model {
 public:
  LinearModel(int64_t size, int64_t classes, DType dtype = DType::f32) {
    name_ = "linear";
    family_ = "linear";
    options_ = {.classes = classes, .image_size = size, .dtype = dtype};
    weight_ = Scope(store_).parameter("weight", {classes, 3 * size * size}, Init::constant(0));
    store_.build(0, dtype);
  }

 private:
  Tensor forward(const Tensor& images) const override {
    return linear(reshape(images, Shape{images.size(0), images.numel() / images.size(0)}),
                  weight_->as(images.dtype()));
  }
  ParameterRef weight_;
};

// `count` pictures of uniform noise with labels 0, 1, ..., classes - 1, 0, ...
inline Dataset random_pictures(int64_t count, int64_t size, int64_t classes, uint64_t seed) {
  Dataset data{.name = "noise", .split = "test", .count = count, .height = size, .width = size};
  data.mean = {0.5f, 0.5f, 0.5f};
  data.std = {0.25f, 0.25f, 0.25f};
  for (int64_t k = 0; k < classes; ++k) data.classes.push_back("class" + std::to_string(k));
  for (int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<int32_t>(i % classes));
  RandomSequence random({seed, 0, site_of("test.pictures")});
  for (int64_t i = 0; i < count * data.image_bytes(); ++i)
    data.images.push_back(static_cast<uint8_t>(random.below(256)));
  return data;
}

}  // namespace passband::testing
