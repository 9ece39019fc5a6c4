// CIFAR-10 and CIFAR-100, official binary version (Krizhevsky 2009).
#include "data/cifar_planes.h"
#include "data/image.h"
#include "data/readers.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/parallel.h"
#include "tensor/core/split_text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kSide = kCifarSide, kPlane = kCifarPlane;

// One file of records: `label_bytes` bytes, the last of which is the label, then the R, G and B
// planes.
struct RecordFormat {
  int64_t label_bytes = 1;
  int32_t classes = 10;
};

void append_records(const fs::path& path, int64_t records, RecordFormat format, Dataset& data) {
  const int64_t record_bytes = format.label_bytes + 3 * kPlane, expected = records * record_bytes;
  std::error_code code;
  const auto actual = static_cast<int64_t>(fs::file_size(path, code));
  if (code)
    throw DataError(
        concat_text(path.string(), ": ", code.message(), "; expected ", expected, " bytes"));
  if (actual != expected)
    throw DataError(concat_text(
        path.string(), ": expected ", expected, " bytes, found ", actual,
        " (truncated or not this data set; delete it and fetch it again with `make data`)"));
  const std::vector<uint8_t> file = read_file_bytes(path, expected);
  const int64_t first = data.count;
  data.count += records;
  data.images.resize(data.count * 3 * kPlane);
  data.labels.resize(data.count);
  for (int64_t i = 0; i < records; ++i) {
    const int32_t label = file[i * record_bytes + format.label_bytes - 1];
    if (label >= format.classes)
      throw DataError(concat_text(path.string(), ": record ", i, " has label ", label,
                                  ", labels are 0 to ", format.classes - 1,
                                  " (damaged or not this data set)"));
    data.labels[first + i] = label;
  }
  for_each_index(records, [&](int64_t i) {
    const uint8_t* planes = &file[i * record_bytes + format.label_bytes];
    uint8_t* image = &data.images[(first + i) * 3 * kPlane];
    store_planes(planes, image);
  });
}

Dataset empty_split(const std::string& name, const std::string& split,
                    std::vector<std::string> classes) {
  const DatasetInfo info = dataset_info(name);
  Dataset data{
      .name = name, .split = split, .height = kSide, .width = kSide, .classes = std::move(classes)};
  data.mean = info.mean;
  data.std = info.std;
  const int64_t count = split == "train" ? info.train_count : info.test_count;
  data.images.reserve(count * 3 * kPlane);
  data.labels.reserve(count);
  return data;
}

std::vector<std::string> read_names(const fs::path& path, size_t expected) {
  if (!fs::is_regular_file(path))
    throw DataError(concat_text(path.string(), ": cannot be read; it holds the class names"));
  std::vector<std::string> names;
  for (std::string& line : split_text(read_file(path.string()), '\n'))
    if (!line.empty()) names.push_back(std::move(line));
  if (names.size() != expected)
    throw DataError(
        concat_text(path.string(), ": expected ", expected, " class names, found ", names.size()));
  return names;
}

}  // namespace

DataSplits read_cifar10(const fs::path& folder) {
  const std::vector<std::string> classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};
  DataSplits splits{empty_split("cifar10", "train", classes),
                    empty_split("cifar10", "test", classes)};
  for (int k = 1; k <= 5; ++k)
    append_records(folder / concat_text("data_batch_", k, ".bin"), 10000, {}, splits.train);
  append_records(folder / "test_batch.bin", 10000, {}, splits.test);
  return splits;
}

DataSplits read_cifar100(const fs::path& folder) {
  constexpr RecordFormat format{.label_bytes = 2, .classes = 100};  // coarse label, fine label
  const std::vector<std::string> classes = read_names(folder / "fine_label_names.txt", 100);
  DataSplits splits{empty_split("cifar100", "train", classes),
                    empty_split("cifar100", "test", classes)};
  append_records(folder / "train.bin", 50000, format, splits.train);
  append_records(folder / "test.bin", 10000, format, splits.test);
  return splits;
}

}  // namespace passband
