// Folders of pictures, one folder a class (torchvision's ImageFolder layout).
#include <algorithm>
#include <atomic>

#include "data/bad_pictures.h"
#include "data/folder_layout.h"
#include "data/image.h"
#include "data/readers.h"
#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

enum class Check : uint8_t {
  size,       // of the file: it is not empty
  structure,  // all of it is read
  data,       // and decoded
};

// What tells a picture from others.
uint64_t checksum_of_file(std::span<const uint8_t> file) {
  return checksum_of({reinterpret_cast<const char*>(file.data()), file.size()});
}

uint64_t checksum_of_name(const fs::path& path, const fs::path& root, uintmax_t bytes) {
  return checksum_of(
      concat_text(path.lexically_relative(root).generic_string(), " of ", bytes, " bytes"));
}

struct Looked {
  std::string reason;  // why the picture cannot be read; empty: it can
  uint64_t checksum = 0;
};

Looked look_at(const fs::path& path, const fs::path& root, Check check) {
  try {
    std::error_code code;
    const uintmax_t bytes = fs::file_size(path, code);
    if (check == Check::size && !code && bytes > 0)
      return {"", checksum_of_name(path, root, bytes)};
    const EncodedPicture picture(path);
    if (check == Check::data) picture.check_data();
    return {"", checksum_of_file(picture.file())};
  } catch (const UnreadablePicture& error) {
    return {error.reason};
  } catch (const DataError& error) {
    const std::string what = error.what(), named = path.string() + ": ";
    return {what.starts_with(named) ? what.substr(named.size()) : what};
  }
}

// The files of a split, those that cannot be read left out and put into `failures`.
Dataset read_split(const FolderSplit& split, const fs::path& root, int64_t side, Check check,
                   std::vector<BadPicture>& failures) {
  Dataset data{.split = split.name, .height = side, .width = side};
  std::vector<Looked> looked(split.files.size());
  for_each_index(std::ssize(looked),
                 [&](int64_t i) { looked[i] = look_at(split.files[i].path, root, check); });
  for (size_t i = 0; i < looked.size(); ++i) {
    const auto& [path, label] = split.files[i];
    if (!looked[i].reason.empty()) {
      failures.push_back({path.string(), looked[i].reason});
      continue;
    }
    data.files.add_file(path.native(), looked[i].checksum);
    data.labels.push_back(label);
    ++data.count;
  }
  return data;
}

// All of a folder is read before anything begins, unless that would take minutes.
Check check_for(const FolderLayout& layout, bool skip_bad_pictures) {
  if (skip_bad_pictures) return Check::data;
  std::atomic<int64_t> total{0};
  for (const FolderSplit* split : {&layout.train, &layout.val, &layout.test})
    for_each_index(std::ssize(split->files), [&](int64_t i) {
      std::error_code code;
      const uintmax_t bytes = fs::file_size(split->files[i].path, code);
      if (!code) total += static_cast<int64_t>(bytes);
    });
  return total <= kCheckedBytes ? Check::structure : Check::size;
}

// A class that has lost all its pictures cannot be learned.
void check_classes(const Dataset& data) {
  std::vector<bool> seen(data.classes.size());
  for (const int32_t label : data.labels) seen[static_cast<size_t>(label)] = true;
  for (size_t k = 0; k < seen.size(); ++k)
    if (!seen[k])
      throw DataError(concat_text(data.name, ": no readable picture of class ",
                                  quote(data.classes[k]), " in ", data.split, "/"));
}

}  // namespace

FolderSummary summarise_image_folder(const fs::path& root) {
  const FolderLayout layout = find_layout(root);
  const auto& test = layout.test.files.empty() ? layout.val : layout.test;
  return {.classes = layout.classes,
          .train_count = std::ssize(layout.train.files),
          .test_count = std::ssize(test.files)};
}

DataSplits read_layout(FolderLayout layout, const fs::path& root, int64_t side,
                       bool skip_bad_pictures) {
  if (layout.test.files.empty()) std::swap(layout.test, layout.val);
  const Check check = check_for(layout, skip_bad_pictures);
  std::vector<BadPicture> failures;
  DataSplits splits{.train = read_split(layout.train, root, side, check, failures),
                    .test = read_split(layout.test, root, side, check, failures),
                    .val = read_split(layout.val, root, side, check, failures)};
  if (!failures.empty() && !skip_bad_pictures) refuse_bad_pictures(failures);
  for (const BadPicture& failure : failures)
    layout.left_out.add("unreadable", fs::path(failure.name).lexically_relative(root));
  for (Dataset* data : {&splits.train, &splits.test, &splits.val}) {
    data->name = root.string();
    data->classes = layout.classes;
    data->mean = {0.485f, 0.456f, 0.406f};  // ImageNet's, the custom for photographs
    data->std = {0.229f, 0.224f, 0.225f};
  }
  if (!layout.classes.empty())
    check_classes(splits.train.split.empty() ? splits.test : splits.train);
  splits.left_out = layout.left_out.text();
  return splits;
}

DataSplits read_image_folder(const fs::path& root, int64_t side, bool skip_bad_pictures) {
  return read_layout(find_layout(root), root, side, skip_bad_pictures);
}

DataSplits read_unlabelled(const fs::path& root, int64_t side, bool skip_bad_pictures) {
  DataSplits splits = read_layout(find_pictures(root), root, side, skip_bad_pictures);
  splits.train.labelled = splits.val.labelled = splits.test.labelled = false;
  if (splits.test.count == 0)
    throw DataError(concat_text(root.string(), ": no readable picture; ", splits.left_out));
  return splits;
}

}  // namespace passband
