#include "data/subset.h"

#include <cmath>

#include "data/loader.h"
#include "tensor/core/error.h"

namespace passband {
namespace {

std::vector<int32_t> picked(const std::vector<int32_t>& values,
                            const std::vector<int64_t>& indices) {
  std::vector<int32_t> result;
  if (values.empty()) return result;
  for (const int64_t i : indices) result.push_back(values[static_cast<size_t>(i)]);
  return result;
}

// Which pictures are kept, in stored order.
std::vector<int64_t> chosen(const Dataset& dataset, double fraction) {
  std::vector<int64_t> wanted(dataset.classes.size());
  for (const int32_t label : dataset.labels) ++wanted[static_cast<size_t>(label)];
  for (int64_t& count : wanted)
    count = std::llround(std::ceil(fraction * static_cast<double>(count) - 1e-9));
  std::vector<bool> keep(static_cast<size_t>(dataset.count));
  for (const int64_t i : epoch_order(dataset.count, /*seed=*/0, /*epoch=*/0)) {
    int64_t& left = wanted[static_cast<size_t>(dataset.labels[static_cast<size_t>(i)])];
    keep[static_cast<size_t>(i)] = left > 0;
    left -= left > 0;
  }
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < dataset.count; ++i)
    if (keep[static_cast<size_t>(i)]) indices.push_back(i);
  return indices;
}

}  // namespace

Dataset subset(const Dataset& dataset, double fraction) {
  if (!(fraction > 0 && fraction <= 1))
    throw UsageError(concat_text("data_fraction: ", fraction, " is outside (0, 1]"));
  const std::vector<int64_t> indices = chosen(dataset, fraction);
  Dataset part{.name = dataset.name,
               .split = dataset.split,
               .count = static_cast<int64_t>(indices.size()),
               .height = dataset.height,
               .width = dataset.width,
               .classes = dataset.classes,
               .mean = dataset.mean,
               .std = dataset.std};
  part.images.reserve(static_cast<size_t>(part.count * part.image_bytes()));
  for (const int64_t i : indices)
    part.images.insert(part.images.end(), dataset.image(i),
                       dataset.image(i) + dataset.image_bytes());
  part.labels = picked(dataset.labels, indices);
  part.shape_ids = picked(dataset.shape_ids, indices);
  part.texture_ids = picked(dataset.texture_ids, indices);
  return part;
}

}  // namespace passband
