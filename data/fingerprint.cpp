#include "data/fingerprint.h"

#include <vector>

#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

void add_bytes(Checksum& sum, const void* data, size_t bytes) {
  sum.add({reinterpret_cast<const char*>(&bytes), sizeof bytes});
  sum.add({static_cast<const char*>(data), bytes});
}

template <class T> void add_values(Checksum& sum, const std::vector<T>& values) {
  add_bytes(sum, values.data(), values.size() * sizeof(T));
}

void add_pictures(Checksum& sum, const Dataset& dataset) {
  add_values<int64_t>(sum, {dataset.count, dataset.height, dataset.width});
  if (!dataset.streamed()) return add_values(sum, dataset.images);
  std::vector<uint64_t> checksums;
  for (int64_t i = 0; i < dataset.count; ++i) checksums.push_back(dataset.files.checksum(i));
  add_values(sum, checksums);
}

DataFingerprint::Split fingerprint_of_split(const Dataset& dataset) {
  if (dataset.count == 0) return {};
  Checksum pictures, labels;
  add_pictures(pictures, dataset);
  add_values(labels, dataset.labels);
  return {dataset.count, pictures.value(), labels.value()};
}

std::string difference_of_split(const char* name, const DataFingerprint::Split& before,
                                const DataFingerprint::Split& now) {
  if (before.count != now.count)
    return concat_text("there were ", before.count, " ", name, " pictures and are ", now.count,
                       " now");
  if (before.labels != now.labels) return concat_text("the labels of ", name, " pictures changed");
  if (before.pictures != now.pictures)
    return concat_text("the ", name, " pictures are others, or in another order");
  return {};
}

}  // namespace

uint64_t fingerprint(const Dataset& dataset) {
  Checksum sum;
  add_pictures(sum, dataset);
  add_values(sum, dataset.labels);
  for (const std::string& name : dataset.classes) add_bytes(sum, name.data(), name.size());
  return sum.value();
}

DataFingerprint fingerprint(const DataSplits& data) {
  // A network may be shown pictures of which none are for training.
  const Dataset& named = data.train.classes.empty() ? data.test : data.train;
  return {named.classes, fingerprint_of_split(data.train), fingerprint_of_split(data.test),
          fingerprint_of_split(data.val)};
}

std::string difference_of_classes(const std::vector<std::string>& before,
                                  const std::vector<std::string>& now) {
  if (before.size() != now.size())
    return concat_text("there were ", before.size(), " classes and are ", now.size(), " now");
  for (size_t i = 0; i < before.size(); ++i)
    if (before[i] != now[i])
      return concat_text("class ", i, " was ", quote(before[i]), " and is ", quote(now[i]), " now");
  return {};
}

std::string difference(const DataFingerprint& before, const DataFingerprint& now) {
  std::string text = difference_of_classes(before.classes, now.classes);
  if (text.empty()) text = difference_of_split("training", before.train, now.train);
  if (text.empty()) text = difference_of_split("validation", before.val, now.val);
  if (text.empty()) text = difference_of_split("test", before.test, now.test);
  return text;
}

}  // namespace passband
