#include "analysis/decisions/robustness.h"

#include <algorithm>

#include "analysis/study/finite.h"
#include "analysis/study/verdict.h"
#include "data/augment.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"

namespace passband {
namespace {

// Pictures and labels of one kind and severity, batch by batch.
class Source {
 public:
  Source(const Dataset& data, const CorruptionOptions& options, int64_t size)
      : data_(data), options_(options), size_(size) {
    indices_ = spread_indices(options.files ? options.files->count() : data.count, options.images);
    if (!options.files) return;
    if (options.files->side() != size)
      throw DataError(concat_text("corruption files: pictures of ", options.files->side(),
                                  " pixels for a network of ", size));
    for (const int32_t label : options.files->labels())
      if (label >= data.num_classes())
        throw DataError(concat_text("corruption files: label ", label, " for the ",
                                    data.num_classes(), " classes of ", data.name));
  }

  int64_t count() const { return std::ssize(indices_); }

  Tensor images(Corruption kind, int severity, std::span<const int64_t> chosen) const {
    const auto n = std::ssize(chosen);
    Tensor result = Tensor::empty({n, size_, size_, 3});
    if (!options_.files) {
      make_corrupted_batch(data_, chosen, size_, kind, severity, options_.seed,
                           result.data<float>());
      return result;
    }
    // The same normalisation as for any other picture: the bytes as a data set of their own.
    Dataset read{
        .name = data_.name, .split = data_.split, .count = n, .height = size_, .width = size_};
    read.images = options_.files->read(kind, severity, chosen);
    read.mean = data_.mean;
    read.std = data_.std;
    std::vector<int64_t> all(static_cast<size_t>(n));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    make_eval_batch(read, all, size_, result.data<float>());
    return result;
  }

  Tensor clean_images(std::span<const int64_t> chosen) const {
    Tensor result = Tensor::empty({std::ssize(chosen), size_, size_, 3});
    make_eval_batch(data_, chosen, size_, result.data<float>());
    return result;
  }

  const std::vector<int64_t>& indices() const { return indices_; }
  int32_t label(int64_t index) const {
    return (options_.files ? options_.files->labels() : data_.labels)[static_cast<size_t>(index)];
  }

 private:
  const Dataset& data_;
  const CorruptionOptions& options_;
  int64_t size_;
  std::vector<int64_t> indices_;
};

// Which pictures each network names rightly; `images` makes a batch from indices.
template <class Images>
std::vector<std::vector<bool>> right_answers(const std::vector<Subject>& subjects,
                                             const Source& source, int64_t batch_size,
                                             Images&& images) {
  NoGrad no_grad;
  std::vector<std::vector<bool>> right(subjects.size());
  std::vector<const Model*> models;
  for (const Subject& subject : subjects) models.push_back(subject.model.get());
  const OwnPart part(source.count());
  part.run_batches(models, batch_size, [&](int64_t first, int64_t n) {
    const std::span<const int64_t> chosen(source.indices().data() + first, static_cast<size_t>(n));
    const Tensor batch = images(chosen).to(subjects.front().model->device());
    for (size_t s = 0; s < subjects.size(); ++s) {
      const Model& model = *subjects[s].model;
      ContextGuard mode({.training = false, .compute = model.options().dtype});
      const std::vector<int64_t> answers = classes_of(finite_logits(model, batch));
      for (int64_t i = 0; i < n; ++i)
        right[s].push_back(answers[static_cast<size_t>(i)] ==
                           source.label(chosen[static_cast<size_t>(i)]));
    }
  });
  for (std::vector<bool>& of_network : right) part.append(of_network);
  return right;
}

// Adds one kind and severity, one of `sets` of its group.
void add_to(std::vector<double>& pictures, const std::vector<bool>& right, double sets) {
  pictures.resize(right.size());
  for (size_t i = 0; i < right.size(); ++i) pictures[i] += right[i] / sets;
}

double quotient(double total, double count) { return count > 0 ? total / count : NAN; }

}  // namespace

CorruptionScores::CorruptionScores() {
  for (auto& severities : accuracy) severities.fill(NAN);
}

double CorruptionScores::mean(Corruption kind) const {
  double total = 0;
  for (const double a : accuracy[static_cast<size_t>(kind)]) total += a;
  return total / kSeverities;
}

double CorruptionScores::mean_common() const {
  double total = 0, count = 0;
  for (int i = 0; i < kCommonCorruptions; ++i)
    if (const double m = mean(corruption_at(i)); std::isfinite(m)) total += m, count += 1;
  return quotient(total, count);
}

double CorruptionScores::mean(CorruptionGroup group, int severity) const {
  double total = 0, count = 0;
  for (int i = 0; i < kCorruptions; ++i) {
    const double a = accuracy[static_cast<size_t>(i)][static_cast<size_t>(severity - 1)];
    if (group_of(corruption_at(i)) == group && std::isfinite(a)) total += a, count += 1;
  }
  return quotient(total, count);
}

std::vector<CorruptionScores> measure_corruptions(const std::vector<Subject>& subjects,
                                                  const Dataset& data,
                                                  const CorruptionOptions& options) {
  CHECK(!subjects.empty(), "corruptions: no network to measure");
  const int64_t size = subjects.front().model->options().image_size;
  const Source source(data, options, size);
  std::vector<CorruptionScores> scores(subjects.size());
  const int kinds = options.extra ? kCorruptions : kCommonCorruptions;
  // The clean pictures are the data set's own, also where the corrupted ones come from files.
  CorruptionOptions plain = options;
  plain.files = nullptr;
  const Source own(data, plain, size);
  const std::vector<std::vector<bool>> clean = right_answers(
      subjects, own, options.batch_size, [&](auto chosen) { return own.clean_images(chosen); });
  for (size_t s = 0; s < subjects.size(); ++s) scores[s].clean = share_right(clean[s]);
  std::vector<Corruption> measured;
  for (int kind = 0; kind < kinds; ++kind)
    if (!options.files || options.files->has(corruption_at(kind)))
      measured.push_back(corruption_at(kind));
  for (size_t k = 0; k < measured.size(); ++k) {
    const CorruptionGroup group = group_of(measured[k]);
    const auto sets =
        static_cast<double>(kSeverities * std::ranges::count(measured, group, group_of));
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const std::vector<std::vector<bool>> right =
          right_answers(subjects, source, options.batch_size,
                        [&](auto chosen) { return source.images(measured[k], severity, chosen); });
      for (size_t s = 0; s < subjects.size(); ++s) {
        scores[s].accuracy[static_cast<size_t>(measured[k])][static_cast<size_t>(severity - 1)] =
            share_right(right[s]);
        add_to(scores[s].pictures[static_cast<size_t>(group)], right[s], sets);
      }
      options.progress(static_cast<int64_t>(k) * kSeverities + severity,
                       std::ssize(measured) * kSeverities, "sets");
    }
  }
  return scores;
}

}  // namespace passband
