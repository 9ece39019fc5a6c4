#include "data/fingerprint.h"

#include <cstring>

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

// FNV-1a over eight bytes at a time, with a shift so that high bits mix down.
class Hash {
 public:
  void mix(uint64_t word) {
    value_ = (value_ ^ word) * 0x100000001b3ull;
    value_ ^= value_ >> 29;
  }
  template <class T> void mix(const std::vector<T>& values) {
    mix_bytes(values.data(), values.size() * sizeof(T));
  }
  void mix_bytes(const void* data, size_t bytes) {
    mix(bytes);
    const auto* at = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < bytes; i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, at + i, std::min<size_t>(8, bytes - i));
      mix(word);
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325ull;
};

void mix_pictures(Hash& hash, const Dataset& dataset) {
  for (const int64_t extent : {dataset.count, dataset.height, dataset.width})
    hash.mix(static_cast<uint64_t>(extent));
  hash.mix(dataset.images);
}

DataFingerprint::Split fingerprint_of_split(const Dataset& dataset) {
  if (dataset.count == 0) return {};
  Hash pictures, labels;
  mix_pictures(pictures, dataset);
  labels.mix(dataset.labels);
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
  Hash hash;
  mix_pictures(hash, dataset);
  hash.mix(dataset.labels);
  for (const std::string& name : dataset.classes) hash.mix_bytes(name.data(), name.size());
  return hash.value();
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
