#include "train/evaluation.h"

#include <numeric>
#include <vector>

#include "data/augment.h"
#include "tensor/ops/cross_entropy.h"

namespace passband {

int64_t count_correct(const Tensor& logits, const int32_t* labels, int64_t k) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const std::vector<double> values = logits.values();
  int64_t correct = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double* row = values.data() + i * classes;
    int64_t before = 0;
    for (int64_t j = 0; j < classes; ++j)
      before += row[j] > row[labels[i]] || (row[j] == row[labels[i]] && j < labels[i]);
    correct += before < k;
  }
  return correct;
}

Evaluation evaluate(const Model& model, const Dataset& dataset, int64_t batch_size, DType compute) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = compute});
  const int64_t size = model.options().image_size;
  Evaluation total;
  std::vector<int64_t> indices;
  for (int64_t first = 0; first < dataset.count; first += batch_size) {
    const int64_t batch = std::min(batch_size, dataset.count - first);
    indices.resize(static_cast<size_t>(batch));
    std::iota(indices.begin(), indices.end(), first);
    const Tensor images = Tensor::empty({batch, size, size, 3});
    make_eval_batch(dataset, indices, size, images.data<float>());
    const Tensor labels = Tensor::empty({batch}, DType::i32);
    std::copy_n(dataset.labels.data() + first, batch, labels.data<int32_t>());
    const Device device = model.store().values().device();
    const Tensor logits = model(images.to(device)).to({});
    total.loss += cross_entropy(logits, labels).item() * static_cast<double>(batch);
    total.top1 += static_cast<double>(count_correct(logits, labels.data<int32_t>(), 1));
    total.top5 += static_cast<double>(count_correct(logits, labels.data<int32_t>(), 5));
    total.count += batch;
  }
  const double n = static_cast<double>(std::max<int64_t>(1, total.count));
  return {total.loss / n, total.top1 / n, total.top5 / n, total.count};
}

}  // namespace passband
