// Folders of pictures, one folder a class (torchvision's ImageFolder layout).
#include <algorithm>
#include <atomic>
#include <cctype>
#include <exception>
#include <mutex>

#include "data/image.h"
#include "data/readers.h"
#include "tensor/core/error.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

struct LabelledFile {
  fs::path path;
  int32_t label = 0;
};

fs::path test_folder(const fs::path& root) {
  for (const char* name : {"val", "validation", "test"})
    if (fs::is_directory(root / name)) return root / name;
  return {};
}

// Names of the entries of a folder in byte order, hidden ones left out.
std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->path().filename().string().front() != '.') entries.push_back(entry->path());
  if (code) throw DataError(concat_text(folder.string(), ": cannot be listed: ", code.message()));
  std::ranges::sort(entries, {}, [](const fs::path& path) { return path.native(); });
  return entries;
}

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") return true;
  for (const char* other : {".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
    if (extension == other)
      throw DataError(
          concat_text(path.string(), ": pictures must be JPEG or PNG; convert it or move it away"));
  return false;
}

std::vector<std::string> class_names(const fs::path& train) {
  std::vector<std::string> classes;
  for (const fs::path& entry : sorted_entries(train))
    if (fs::is_directory(entry)) classes.push_back(entry.filename().string());
  if (classes.size() < 2)
    throw DataError(
        concat_text(train.string(), ": expected one folder per class, found ", classes.size()));
  return classes;
}

std::vector<LabelledFile> list_files(const fs::path& split,
                                     const std::vector<std::string>& classes) {
  std::vector<LabelledFile> files;
  for (const fs::path& folder : sorted_entries(split)) {
    if (!fs::is_directory(folder)) continue;
    const auto found = std::ranges::lower_bound(classes, folder.filename().string());
    if (found == classes.end() || *found != folder.filename().string())
      throw DataError(concat_text(folder.string(), ": no such class in train/"));
    const auto label = static_cast<int32_t>(found - classes.begin());
    for (const fs::path& file : sorted_entries(folder))
      if (is_picture(file)) files.push_back({file, label});
  }
  if (files.empty())
    throw DataError(concat_text(split.string(), ": holds no .jpg, .jpeg or .png pictures"));
  return files;
}

Dataset read_split(const std::vector<LabelledFile>& files, int64_t side) {
  Dataset data{.count = static_cast<int64_t>(files.size()), .height = side, .width = side};
  data.images.resize(data.count * data.image_bytes());
  data.labels.resize(data.count);
  std::atomic<int64_t> first_failure = data.count;
  std::exception_ptr failure;
  std::mutex mutex;
#pragma omp parallel for schedule(dynamic, 8)
  for (int64_t i = 0; i < data.count; ++i) {
    if (i > first_failure) continue;
    try {
      data.labels[i] = files[i].label;
      resize_centre_square(read_image(files[i].path), side,
                           data.images.data() + i * data.image_bytes());
    } catch (...) {
      const std::lock_guard lock(mutex);
      // the same one on every thread count
      if (i < first_failure) failure = std::current_exception();
      first_failure = std::min<int64_t>(first_failure, i);
    }
  }
  if (failure) std::rethrow_exception(failure);
  return data;
}

}  // namespace

bool is_image_folder(const fs::path& root) {
  return fs::is_directory(root / "train") && !test_folder(root).empty();
}

FolderSummary summarise_image_folder(const fs::path& root) {
  if (!is_image_folder(root))
    throw DataError(concat_text(
        root.string(), ": expected train/<class>/<picture> and val/<class>/<picture> in it"));
  FolderSummary summary{.classes = class_names(root / "train")};
  summary.train_count = static_cast<int64_t>(list_files(root / "train", summary.classes).size());
  summary.test_count = static_cast<int64_t>(list_files(test_folder(root), summary.classes).size());
  return summary;
}

DataSplits read_image_folder(const fs::path& root, int64_t side) {
  const FolderSummary summary = summarise_image_folder(root);
  check_memory(root.string(), summary.train_count + summary.test_count, side);
  DataSplits splits{read_split(list_files(root / "train", summary.classes), side),
                    read_split(list_files(test_folder(root), summary.classes), side)};
  for (Dataset* data : {&splits.train, &splits.test}) {
    data->name = root.string();
    data->split = data == &splits.train ? "train" : "test";
    data->classes = summary.classes;
    data->mean = {0.485f, 0.456f, 0.406f};  // ImageNet's, the custom for photographs
    data->std = {0.229f, 0.224f, 0.225f};
  }
  return splits;
}

}  // namespace passband
