#include "analysis/study/lockstep.h"

#include <algorithm>

#include "analysis/study/finite.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/core/random.h"

namespace passband {
namespace {

void shuffle(std::vector<int64_t>& indices, uint64_t seed, int64_t pass) {
  RandomSequence random({seed, static_cast<uint64_t>(pass), site_of("analysis.lockstep")});
  for (size_t i = indices.size(); i > 1; --i)
    std::swap(indices[i - 1], indices[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
}

}  // namespace

OwnPart run_lockstep(const std::vector<Subject>& subjects, const Dataset& data,
                     const LockstepOptions& options, const std::vector<std::string>& taps,
                     const LockstepVisitor& visit, const LockstepBatch& after_batch) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  size_t current = 0;
  const ProbeGuard probe(taps, [&](const TapSite& site, const Tensor& buffer) {
    check_finite(*subjects[current].model, site, buffer);
    visit(current, site, buffer);
    return buffer;
  });
  std::vector<int64_t> indices = spread_indices(data.count, options.images);
  const auto total = static_cast<int64_t>(indices.size());
  const int64_t size = std::min(options.batch_size, total);
  const int64_t batches = total / size, networks = static_cast<int64_t>(subjects.size());
  const OwnPart part(batches);
  const int64_t own = part.end - part.begin;
  const auto run_batch = [&](int64_t pass, int64_t b) {
    const auto first = indices.begin() + b * size;
    const std::vector<int64_t> chosen(first, first + size);
    for (current = 0; current < subjects.size(); ++current) {
      const Model& model = *subjects[current].model;
      finite_logits(model, network_images(model, data, chosen));
      options.progress((pass * own + b - part.begin) * networks + static_cast<int64_t>(current) + 1,
                       options.passes * own * networks, "batches");
    }
    after_batch(pass, chosen);
  };
  std::vector<const Model*> models;
  for (const Subject& subject : subjects) models.push_back(subject.model.get());
  part.run(models, [&] {
    for (int64_t pass = 0; pass < options.passes; ++pass) {
      if (pass > 0) shuffle(indices, options.seed, pass);
      for (int64_t b = part.begin; b < part.end; ++b) run_batch(pass, b);
    }
  });
  return part;
}

}  // namespace passband
