#include "analysis/study/subject.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <span>

#include "analysis/study/finite.h"
#include "data/augment.h"
#include "tensor/ops/shape.h"

namespace passband {

std::vector<int64_t> spread_indices(int64_t dataset_count, int64_t count) {
  const int64_t taken = std::min(dataset_count, count);
  std::vector<int64_t> indices(static_cast<size_t>(taken));
  for (int64_t i = 0; i < taken; ++i) indices[static_cast<size_t>(i)] = i * dataset_count / taken;
  return indices;
}

Tensor network_images(const Model& model, const Dataset& data,
                      const std::vector<int64_t>& indices) {
  const int64_t side = model.options().image_size;
  Tensor images = Tensor::empty({std::ssize(indices), side, side, 3});
  make_eval_batch(data, indices, side, images.data<float>());
  return images.to(model.device());
}

OwnPart run_pass(const Model& model, const Dataset& data, const PassOptions& options,
                 const std::vector<std::string>& taps, const TapVisitor& visit,
                 const BatchVisitor& after_batch) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  std::optional<ProbeGuard> probe;
  if (visit)
    probe.emplace(taps, [&](const TapSite& site, const Tensor& buffer) {
      check_finite(model, site, buffer);
      visit(site, buffer);
      return buffer;
    });
  const std::vector<int64_t> indices = spread_indices(data.count, options.images);
  const OwnPart part(std::ssize(indices));
  const int64_t total = part.end - part.begin;
  const auto own = indices.begin() + part.begin;
  part.run({&model}, [&] {
    for (int64_t first = 0; first < total; first += options.batch_size) {
      const int64_t batch = std::min(options.batch_size, total - first);
      if (options.whole_batches && batch < options.batch_size && first > 0) break;
      const std::vector<int64_t> chosen(own + first, own + first + batch);
      const Tensor images = network_images(model, data, chosen);
      const Tensor logits = finite_logits(model, images);
      if (after_batch) after_batch(chosen, images, logits);
      options.progress(first + batch, total, "pictures");
    }
  });
  return part;
}

void run_logits(const Model& model, const Dataset& data, const PassOptions& options,
                const LogitsVisitor& visit) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  const std::vector<int64_t> indices = spread_indices(data.count, options.images);
  const int64_t total = std::ssize(indices), classes = model.options().classes;
  for (int64_t first = 0; first < total; first += options.batch_size) {
    const int64_t batch = std::min(options.batch_size, total - first);
    const auto begin = indices.begin() + first;
    const OwnPart part(batch);
    Tensor own;
    part.run({&model}, [&] {
      const Tensor images = network_images(model, data, {begin + part.begin, begin + part.end});
      own = finite_logits(model, images);
      options.progress(first + batch, total, "pictures");
    });
    Tensor logits = own;
    if (part.split) {
      std::vector<double> all = own.values();
      part.append(all);
      logits = Tensor::from(all, {batch, classes}, own.dtype(), own.device());
    }
    visit({begin, begin + batch}, logits);
  }
}

std::vector<int64_t> classes_of(const Tensor& logits, int64_t rank) {
  const std::vector<double> values = logits.values();
  const auto classes = static_cast<size_t>(logits.size(1));
  std::vector<int64_t> result, order(classes);
  for (size_t n = 0; n < values.size(); n += classes) {
    const auto row = std::span(values).subspan(n, classes);
    if (!std::ranges::all_of(row, [](double value) { return std::isfinite(value); })) {
      result.push_back(-1);
      continue;
    }
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>{},
                             [&](int64_t c) { return values[n + static_cast<size_t>(c)]; });
    result.push_back(order[std::min(static_cast<size_t>(rank), classes - 1)]);
  }
  return result;
}

std::vector<int64_t> classes_read(const Model& model, const Tensor& images, int64_t rank) {
  NoGrad no_grad;
  ContextGuard mode({.training = false});
  return classes_of(finite_logits(model, images), rank);
}

Tensor as_feature_map(const TapSite& site, const Tensor& buffer) {
  Tensor map = buffer;
  if (map.rank() == 3) {
    if (site.prefix > 0) map = slice(map, 1, site.prefix, site.height * site.width);
    map = reshape(map, Shape{map.size(0), site.height, site.width, map.size(2)});
  }
  return cast(map, DType::f32);
}

}  // namespace passband
