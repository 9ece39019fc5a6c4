#include "train/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "data/augment.h"
#include "data/loader.h"
#include "tensor/core/asynchronous.h"
#include "tensor/core/collective.h"
#include "tensor/core/timeline.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/training/score.h"
#include "train/views.h"

namespace passband {
namespace {

using Indices = std::span<const int64_t>;

// Brings pictures of a data set to the device of a network.
class Pictures {
 public:
  Pictures(const Model& model, const Dataset& dataset, const EvaluationOptions& options)
      : dataset_(dataset),
        device_(model.store().values().device()),
        size_(model.options().image_size),
        compute_(options.compute),
        resident_(options.resident),
        image_upload_(device_),
        label_upload_(device_) {}

  Tensor images(Indices indices) {
    const auto count = static_cast<int64_t>(indices.size());
    if (resident_) {
      Tensor images = Tensor::empty({count, size_, size_, 3}, compute_, device_);
      resident_->make_batch(images, indices, centre_crop(), {});
      return images;
    }
    Tensor host = Tensor::empty({count, size_, size_, 3});
    make_eval_batch(dataset_, indices, size_, host.data<float>());
    return brought(host, image_upload_);
  }
  Tensor labels(Indices indices) {
    Tensor host = Tensor::empty({static_cast<int64_t>(indices.size())}, DType::i32);
    std::ranges::transform(indices, host.data<int32_t>(),
                           [&](int64_t index) { return dataset_.labels[index]; });
    return brought(host, label_upload_);
  }

 private:
  CropOptions centre_crop() const {
    return {.height = dataset_.height, .width = dataset_.width, .size = size_, .centred = true};
  }
  Tensor brought(const Tensor& host, Upload& upload) const {
    if (!device_.is_cuda()) return host;
    Tensor there = Tensor::empty(host.shape(), host.dtype(), device_);
    upload(there, host);
    return there;
  }

  const Dataset& dataset_;
  Device device_;
  int64_t size_;
  DType compute_;
  ResidentPictures* resident_;
  Upload image_upload_, label_upload_;
};

// In stored order. Sets are stored class by class, or class after class: only a draw is fair to
// all.
std::vector<int64_t> chosen_pictures(int64_t pictures, int64_t of) {
  std::vector<int64_t> indices = epoch_order(of, /*seed=*/0, /*epoch=*/0);
  if (pictures > 0 && pictures < of) indices.resize(static_cast<size_t>(pictures));
  std::ranges::sort(indices);
  return indices;
}

Accuracy accuracy_of(const Score& score) {
  const double n = std::max(1.0, score.rows);
  return {score.loss_sum / n, score.top1 / n, score.top5 / n};
}

Score score_of_all(const Tensor& score) {
  std::vector<double> sums = score.values();
  sum_over_processes(sums.data(), std::ssize(sums));
  return read_score(sums.data());
}

}  // namespace

std::string over_views(const Evaluation& evaluation) {
  if (!evaluation.views) return "";
  return fmt::format(" ({:.2f} % with TTA)", 100 * evaluation.views->top1);
}

Evaluation evaluate(const Model& model, const Dataset& dataset, const EvaluationOptions& options) {
  const SpanTimer evaluating(Activity::evaluation);
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = options.compute});
  Pictures pictures(model, dataset, options);
  const Device device = model.store().values().device();
  const Tensor total = empty_score(device), of_views = empty_score(device);
  const std::vector<int64_t> chosen = chosen_pictures(options.pictures, dataset.count);
  const auto most = static_cast<size_t>(options.batch_size);
  const auto bound = [&](int rank) {
    return chosen.size() * static_cast<size_t>(rank) / static_cast<size_t>(process_count());
  };
  const size_t end = bound(process_rank() + 1);
  for (size_t first = bound(process_rank()); first < end; first += most) {
    const Indices batch = Indices(chosen).subspan(first, std::min(most, end - first));
    const Tensor labels = pictures.labels(batch), images = pictures.images(batch);
    const Tensor logits = model(images);
    add_to_score(total, cross_entropy(logits, labels), logits, labels);
    if (options.tta == TtaKind::none) continue;
    const Tensor averaged = averaged_over_views(model, images, logits, options.tta);
    add_to_score(of_views, cross_entropy(averaged, labels), averaged, labels);
  }
  const Score score = score_of_all(total);
  Evaluation result{accuracy_of(score), static_cast<int64_t>(score.rows)};
  if (options.tta != TtaKind::none) result.views = accuracy_of(score_of_all(of_views));
  return result;
}

}  // namespace passband
