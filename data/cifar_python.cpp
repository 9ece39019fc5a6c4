// CIFAR-10 and CIFAR-100, official Python version: pickles of labels and planes, as torchvision
// keeps them.
#include <array>

#include "data/cifar_planes.h"
#include "data/image.h"
#include "data/pickle.h"
#include "data/readers.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kLongestFile = int64_t{256} << 20;

// A file of `records` pictures whose labels are the list `key`.
void append_batch(const fs::path& path, int64_t records, const char* key, Dataset& data) {
  const std::vector<uint8_t> file = read_file_bytes(path, kLongestFile);
  const Pickled batch = read_pickle(file, path.string());
  const PickleValue* labels = batch->find(key);
  const std::string_view planes =
      array_bytes(batch->find("data"), static_cast<size_t>(records * kCifarBytes));
  if (planes.empty())
    throw DataError(concat_text(path.string(), ": holds no array of ", records, " pictures of ",
                                kCifarBytes, " bytes"));
  if (!labels || std::ssize(labels->items) != records)
    throw DataError(concat_text(path.string(), ": expected ", records, " ", key, ", found ",
                                labels ? labels->items.size() : 0));
  for (int64_t i = 0; i < records; ++i) {
    const int64_t label = labels->items[i]->number;
    if (labels->items[i]->kind != PickleValue::Kind::number || label < 0 ||
        label >= data.num_classes())
      throw DataError(concat_text(path.string(), ": picture ", i, " has label ", label,
                                  ", labels are 0 to ", data.num_classes() - 1));
    data.labels.push_back(static_cast<int32_t>(label));
  }
  data.images.resize((data.count + records) * kCifarBytes);
  const auto* from = reinterpret_cast<const uint8_t*>(planes.data());
  uint8_t* to = data.images.data() + data.count * kCifarBytes;
  for_each_index(records,
                 [&](int64_t i) { store_planes(from + i * kCifarBytes, to + i * kCifarBytes); });
  data.count += records;
}

// The list of class names in the file that describes the batches.
std::vector<std::string> class_names(const fs::path& path, const char* key, size_t expected) {
  const std::vector<uint8_t> file = read_file_bytes(path, kLongestFile);
  const Pickled meta = read_pickle(file, path.string());
  const PickleValue* list = meta->find(key);
  std::vector<std::string> names;
  for (const PickleValue* name : list ? list->items : std::vector<const PickleValue*>{})
    names.emplace_back(name->text);
  if (names.size() != expected)
    throw DataError(
        concat_text(path.string(), ": expected ", expected, " ", key, ", found ", names.size()));
  return names;
}

DataSplits empty_splits(const std::string& name, const std::vector<std::string>& classes) {
  const DatasetInfo info = dataset_info(name);
  Dataset data{.name = name,
               .split = "train",
               .height = kCifarSide,
               .width = kCifarSide,
               .classes = classes,
               .mean = info.mean,
               .std = info.std};
  DataSplits splits{data, data};
  splits.test.split = "test";
  return splits;
}

}  // namespace

DataSplits read_cifar10_python(const fs::path& folder) {
  DataSplits splits =
      empty_splits("cifar10", class_names(folder / "batches.meta", "label_names", 10));
  for (int k = 1; k <= 5; ++k)
    append_batch(folder / concat_text("data_batch_", k), 10000, "labels", splits.train);
  append_batch(folder / "test_batch", 10000, "labels", splits.test);
  return splits;
}

DataSplits read_cifar100_python(const fs::path& folder) {
  DataSplits splits =
      empty_splits("cifar100", class_names(folder / "meta", "fine_label_names", 100));
  append_batch(folder / "train", 50000, "fine_labels", splits.train);
  append_batch(folder / "test", 10000, "fine_labels", splits.test);
  return splits;
}

}  // namespace passband
