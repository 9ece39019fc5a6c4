#include "analysis/explore/effects.h"

#include <algorithm>
#include <cmath>

#include "analysis/study/finite.h"
#include "analysis/study/host.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

constexpr int64_t kBatch = 100, kChannelShare = 10;

// One batch of pictures as the network without edits reads it.
struct Shown {
  std::vector<int64_t> indices;
  Tensor images, logits;
  std::vector<int64_t> answers;
  std::vector<int32_t> labels;
};

Shown show(const Model& model, const Dataset& data, std::vector<int64_t> indices) {
  Shown shown{.indices = std::move(indices)};
  shown.images = network_images(model, data, shown.indices);
  shown.logits = finite_logits(model, shown.images);
  shown.answers = classes_of(shown.logits);
  for (const int64_t i : shown.indices) shown.labels.push_back(data.labels[static_cast<size_t>(i)]);
  return shown;
}

void count(const Shown& shown, const Tensor& logits, EditEffect& effect) {
  const std::vector<int64_t> answers = classes_of(logits);
  for (size_t i = 0; i < answers.size(); ++i) {
    const bool was = shown.answers[i] == shown.labels[i], is = answers[i] == shown.labels[i];
    LesionResult& right = effect.right;
    ++right.pictures;
    right.intact += was;
    right.lesioned += is;
    right.lost += was && !is;
    right.gained += !was && is;
    effect.changed += answers[i] != shown.answers[i];
  }
  effect.moved += sum(abs(logits - shown.logits), {0, 1}).item() /
                  static_cast<double>(logits.size(1));  // divided by the pictures at the end
}

// Batch b of `all`: one picture in so many, so that whichever batches an edit sees are spread over
// the data.
std::vector<int64_t> batch_of(const std::vector<int64_t>& all, int64_t batch) {
  const int64_t total = std::ssize(all), stride = (total + kBatch - 1) / kBatch;
  std::vector<int64_t> chosen;
  for (int64_t i = batch; i < total; i += stride) chosen.push_back(all[static_cast<size_t>(i)]);
  return chosen;
}

}  // namespace

std::vector<int64_t> staggered_indices(int64_t count, int64_t images) {
  std::vector<int64_t> indices = spread_indices(count, images);
  const int64_t share = count / std::max<int64_t>(1, std::ssize(indices));
  for (size_t i = 0; i < indices.size(); ++i)
    indices[i] = std::min(indices[i] + static_cast<int64_t>(i) % share, count - 1);
  return indices;
}

Intact count_right(const Model& model, const Dataset& data, int64_t images) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const std::vector<int64_t> all = staggered_indices(data.count, images);
  Intact intact{.pictures = std::ssize(all)};
  for (int64_t batch = 0; batch * kBatch < std::ssize(all); ++batch) {
    const Shown shown = show(model, data, batch_of(all, batch));
    for (size_t i = 0; i < shown.answers.size(); ++i)
      intact.right += shown.answers[i] == shown.labels[i];
  }
  return intact;
}

std::vector<EditEffect> measure_effects(Model& model, const Dataset& data,
                                        const std::vector<Edit>& edits, int64_t images,
                                        const Progress& progress) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  std::vector<EditEffect> effects;
  for (const Edit& edit : edits) effects.push_back({.edit = edit});
  const std::vector<int64_t> all = staggered_indices(data.count, images);
  const int64_t total = std::ssize(all), parts = std::ssize(edits);
  const int64_t channels = std::max(std::min(total, kBatch), total / kChannelShare);
  const auto few = std::ranges::count(edits, EditKind::channel, &Edit::kind);
  const int64_t work = (parts - few) * total + few * channels;
  int64_t done = 0;
  for (int64_t first = 0; first < total; first += kBatch) {
    const Shown shown = show(model, data, batch_of(all, first / kBatch));
    for (int64_t e = 0; e < parts; ++e) {
      EditEffect& effect = effects[static_cast<size_t>(e)];
      if (effect.edit.kind == EditKind::channel && first >= channels) continue;
      const EditGuard guard(model, {effect.edit});
      count(shown, model(edited_pictures(shown.images, shown.indices, {effect.edit})), effect);
      progress(done += std::ssize(shown.indices), work, "pictures");
    }
  }
  for (EditEffect& effect : effects)
    effect.moved /= std::max(1.0, static_cast<double>(effect.right.pictures));
  return effects;
}

}  // namespace passband
