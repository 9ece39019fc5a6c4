#include "analysis/study/picture_batch.h"

#include "analysis/study/finite.h"
#include "nn/context.h"
#include "tensor/ops/pointwise.h"

namespace passband {

PictureBatch load_batch(const Model& model, const Dataset& data,
                        const std::vector<int64_t>& indices) {
  PictureBatch batch{indices, network_images(model, data, indices), {}};
  for (const int64_t index : indices)
    batch.labels.push_back(data.labels[static_cast<size_t>(index)]);
  return batch;
}

int64_t count_correct(const Model& model, const PictureBatch& batch, const Tensor& images) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  const std::vector<int64_t> read = classes_of(finite_logits(model, images));
  int64_t correct = 0;
  for (size_t i = 0; i < batch.labels.size(); ++i) correct += read[i] == batch.labels[i];
  return correct;
}

Tensor add_clipped(const Dataset& data, const Tensor& images, const Tensor& delta) {
  NoGrad no_grad;
  const auto channels = [&](const std::array<float, 3>& values) {
    return Tensor::from({values[0], values[1], values[2]}, {1, 1, 1, 3}, DType::f32,
                        images.device());
  };
  const Tensor mean = channels(data.mean), deviation = channels(data.std);
  return (clamp(images * deviation + mean + delta, 0, 1) - mean) / deviation;
}

}  // namespace passband
