// Pictures in PNG rows and labels in JSON, rewritten as records of a label and three planes.
#include "data/cifar_png.h"

#include <algorithm>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "data/image.h"
#include "tensor/core/error.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kPixels = 32 * 32, kRecords = 10000, kRecordBytes = 1 + 3 * kPixels;
constexpr const char* kNames =
    "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";

constexpr int kDeepestList = 4;

// A row of ten numbers with a single 1 stands for the position of that 1; any other list is
// flattened.
void append_labels(const nlohmann::json& node, std::vector<int>& labels) {
  if (node.is_number_integer()) {
    labels.push_back(static_cast<int>(std::clamp<int64_t>(node.get<int64_t>(), -1, 255)));
    return;
  }
  if (!node.is_array()) throw DataError(concat_text("holds ", node.type_name(), " for a label"));
  std::vector<int> nested;
  for (const nlohmann::json& element : node) append_labels(element, nested);
  int sum = 0, hot = 0;
  for (size_t k = 0; k < nested.size() && nested.size() == 10; ++k) {
    sum += nested[k];
    if (nested[k] == 1) hot = static_cast<int>(k);
  }
  if (nested.size() == 10 && sum == 1) labels.push_back(hot);
  else labels.insert(labels.end(), nested.begin(), nested.end());
}

std::vector<int> read_labels(const fs::path& path, size_t expected) {
  const std::vector<uint8_t> text = read_file_bytes(path, int64_t{16} << 20);
  std::vector<int> labels;
  const auto not_deep = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > kDeepestList)
      throw DataError(concat_text("lists in lists, more than ", kDeepestList, " deep"));
    return true;
  };
  try {
    append_labels(nlohmann::json::parse(text, not_deep), labels);
  } catch (const std::exception& error) {
    throw DataError(concat_text(path.string(), ": not a JSON list of labels: ", error.what()));
  }
  if (labels.size() != expected)
    throw DataError(
        concat_text(path.string(), ": expected ", expected, " labels, found ", labels.size()));
  for (const int label : labels)
    if (label < 0 || label > 9)
      throw DataError(concat_text(path.string(), ": label ", label, " is not 0 to 9"));
  return labels;
}

void convert(const fs::path& png, std::span<const int> labels, const fs::path& target) {
  const Image image = read_image(png);
  if (image.width != kPixels || image.height != kRecords)
    throw DataError(concat_text(png.string(), ": expected ", kPixels, " x ", kRecords,
                                " pixels, found ", image.width, " x ", image.height));
  std::vector<uint8_t> records(kRecords * kRecordBytes);
  for (int64_t i = 0; i < kRecords; ++i) {
    uint8_t* record = &records[i * kRecordBytes];
    record[0] = static_cast<uint8_t>(labels[i]);
    for (int64_t p = 0; p < kPixels; ++p)
      for (int64_t c = 0; c < 3; ++c)
        record[1 + c * kPixels + p] = image.pixels[(i * kPixels + p) * 3 + c];
  }
  std::ofstream file(target, std::ios::binary);
  file.write(reinterpret_cast<const char*>(records.data()),
             static_cast<std::streamsize>(records.size()));
  if (!file.flush())
    throw DataError(concat_text(target.string(), ": cannot be written (is the disk full?)"));
}

}  // namespace

void import_cifar10_png(const fs::path& source, const fs::path& target) {
  const std::vector<int> train = read_labels(source / "train_lables.json", 5 * kRecords);
  const std::vector<int> test = read_labels(source / "test_lables.json", kRecords);
  std::error_code code;
  fs::create_directories(target, code);
  if (code) throw DataError(concat_text(target.string(), ": cannot be created: ", code.message()));
  for (int k = 0; k < 5; ++k) {
    const std::string name = concat_text("data_batch_", k + 1);
    convert(source / (name + ".png"), std::span(train).subspan(k * kRecords, kRecords),
            target / (name + ".bin"));
  }
  convert(source / "test_batch.png", test, target / "test_batch.bin");
  std::ofstream names(target / "batches.meta.txt", std::ios::binary);
  names << kNames;
  if (!names.flush())
    throw DataError(concat_text((target / "batches.meta.txt").string(), ": cannot be written"));
}

}  // namespace passband
