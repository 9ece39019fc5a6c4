// Fingerprints of pictures and labels: whether a data set is the one that something was computed
// from.
#pragma once
#include "data/dataset.h"

namespace passband {

// XXH64 of sizes, pictures, labels and class names, each text and vector after the number of its
// bytes; to key caches of what was computed from them. A picture that stays a file counts by its
// bytes, undecoded; in a folder of more than kCheckedBytes (data/readers.h), by its name and size.
uint64_t fingerprint(const Dataset& dataset);

// What a run remembers of the pictures it was trained on.
struct DataFingerprint {
  struct Split {
    int64_t count = 0;
    uint64_t pictures = 0, labels = 0;  // XXH64, in stored order
    bool operator==(const Split&) const = default;
  };
  std::vector<std::string> classes;  // by label
  Split train, test, val;

  bool operator==(const DataFingerprint&) const = default;
};
DataFingerprint fingerprint(const DataSplits& data);

// The first difference in words, such as "class 0 was \"cat\" and is \"ant\" now"; empty when there
// is none.
std::string difference(const DataFingerprint& before, const DataFingerprint& now);
// The same of class names alone.
std::string difference_of_classes(const std::vector<std::string>& before,
                                  const std::vector<std::string>& now);

}  // namespace passband
