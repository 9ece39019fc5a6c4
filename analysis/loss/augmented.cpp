#include "analysis/loss/augmented.h"

#include "analysis/study/subject.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"

namespace passband {
namespace {

// How much of the label of picture `i`, a share, is class `answer`: of smoothed targets, what is
// above the floor that all classes have.
double label_share(const LossBatch& batch, int64_t i, int64_t answer, double smoothing) {
  if (answer < 0) return 0;
  if (!batch.targets.defined()) return batch.labels.to({}).data<int32_t>()[i] == answer ? 1 : 0;
  const int64_t classes = batch.targets.size(1);
  const double target = batch.targets.to({}).data<float>()[i * classes + answer];
  return (target - smoothing / static_cast<double>(classes)) / (1 - smoothing);
}

}  // namespace

AugmentedLoss augmented_loss(const Model& model, const LossBatches& batches,
                             const Progress& progress) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false});
  AugmentedLoss result;
  const OwnPart part(batches.count());
  const auto add = [&](const LossBatch& batch) {
    const Tensor logits = model(batch.images);
    const std::vector<int64_t> answers = classes_of(logits);
    const auto count = std::ssize(answers);
    result.loss +=
        batch.cross_entropy_of(logits, batches.smoothing).item() * static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i)
      result.error += 1 - label_share(batch, i, answers[static_cast<size_t>(i)], batches.smoothing);
    result.pictures += count;
  };
  part.run({&model}, [&] {
    for (int64_t b = part.begin; b < part.end; ++b) {
      add(batches.batch(b));
      progress(b + 1 - part.begin, part.end - part.begin, "batches");
    }
  });
  part.join(result.loss);
  part.join(result.error);
  part.join(result.pictures);
  result.loss /= static_cast<double>(result.pictures);
  result.error /= static_cast<double>(result.pictures);
  return result;
}

double test_error(const Model& model, const Dataset& data, int64_t images) {
  double wrong = 0, total = 0;
  run_logits(model, data, {.images = images},
             [&](const std::vector<int64_t>& indices, const Tensor& logits) {
               const std::vector<int64_t> answers = classes_of(logits);
               for (size_t i = 0; i < indices.size(); ++i)
                 wrong += answers[i] != data.labels[static_cast<size_t>(indices[i])];
               total += static_cast<double>(indices.size());
             });
  return wrong / total;
}

}  // namespace passband
