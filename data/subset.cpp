#include "data/subset.h"

#include <algorithm>
#include <cmath>

#include "data/loader.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

template <class T>
std::vector<T> picked(const std::vector<T>& values, const std::vector<int64_t>& indices) {
  std::vector<T> result;
  if (values.empty()) return result;
  for (const int64_t i : indices) result.push_back(values[static_cast<size_t>(i)]);
  return result;
}

std::vector<int64_t> class_counts(const Dataset& dataset) {
  std::vector<int64_t> counts(dataset.classes.size());
  for (const int32_t label : dataset.labels) ++counts[static_cast<size_t>(label)];
  return counts;
}

// Marks wanted[k] pictures of each class k: the first ones in an order drawn by `seed`.
std::vector<bool> drawn(const Dataset& dataset, std::vector<int64_t> wanted, uint64_t seed) {
  std::vector<bool> taken(static_cast<size_t>(dataset.count));
  for (const int64_t i : epoch_order(dataset.count, seed, /*epoch=*/0)) {
    int64_t& left = wanted[static_cast<size_t>(dataset.labels[static_cast<size_t>(i)])];
    taken[static_cast<size_t>(i)] = left > 0;
    left -= left > 0;
  }
  return taken;
}

// The pictures whose mark is `wanted`, in stored order.
Dataset part_of(const Dataset& dataset, const std::vector<bool>& marks, bool wanted) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < dataset.count; ++i)
    if (marks[static_cast<size_t>(i)] == wanted) indices.push_back(i);
  Dataset part{.name = dataset.name,
               .split = dataset.split,
               .count = static_cast<int64_t>(indices.size()),
               .height = dataset.height,
               .width = dataset.width,
               .classes = dataset.classes,
               .mean = dataset.mean,
               .std = dataset.std};
  if (dataset.streamed()) part.files = dataset.files.picked(indices);
  const int64_t bytes = dataset.streamed() ? 0 : dataset.image_bytes();
  part.images.reserve(static_cast<size_t>(part.count * bytes));
  for (const int64_t i : indices)
    part.images.insert(part.images.end(), dataset.images.begin() + i * bytes,
                       dataset.images.begin() + (i + 1) * bytes);
  part.labels = picked(dataset.labels, indices);
  part.shape_ids = picked(dataset.shape_ids, indices);
  part.texture_ids = picked(dataset.texture_ids, indices);
  return part;
}

}  // namespace

Dataset subset(const Dataset& dataset, double fraction) {
  if (!(fraction > 0 && fraction <= 1))
    throw UsageError(concat_text("data_fraction: ", fraction, " is outside (0, 1]"));
  std::vector<int64_t> wanted = class_counts(dataset);
  for (int64_t& count : wanted)
    count = std::llround(std::ceil(fraction * static_cast<double>(count) - 1e-9));
  return part_of(dataset, drawn(dataset, wanted, /*seed=*/0), true);
}

HeldOut hold_out(const Dataset& dataset, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1))
    throw UsageError(concat_text("val_split: ", fraction, " is outside (0, 1)"));
  std::vector<int64_t> wanted = class_counts(dataset);
  for (size_t k = 0; k < wanted.size(); ++k) {
    const int64_t count = wanted[k];
    wanted[k] = std::max<int64_t>(1, std::llround(fraction * static_cast<double>(count)));
    if (wanted[k] >= count)
      throw DataError(concat_text(dataset.name, ": class ", quote(dataset.classes[k]), " has ",
                                  count, " pictures; --val-split ", fraction,
                                  " leaves none of them for training"));
  }
  const std::vector<bool> held = drawn(dataset, wanted, seed);
  HeldOut parts{part_of(dataset, held, false), part_of(dataset, held, true)};
  parts.held.split = "val";
  return parts;
}

}  // namespace passband
