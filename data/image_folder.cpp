// Folders of pictures, one folder a class (torchvision's ImageFolder layout).
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>

#include "data/bad_pictures.h"
#include "data/folder_index.h"
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

// What tells a picture from others.
uint64_t checksum_of_file(std::span<const uint8_t> file) {
  return checksum_of({reinterpret_cast<const char*>(file.data()), file.size()});
}

uint64_t checksum_of_name(const fs::path& path, const fs::path& root, uintmax_t bytes) {
  return checksum_of(
      concat_text(path.lexically_relative(root).generic_string(), " of ", bytes, " bytes"));
}

LookedAt look_at(const fs::path& path, const fs::path& root, ShardCheck check) {
  LookedAt looked;
  try {
    if (const auto state = state_of_file(path)) {
      looked.bytes = state->bytes, looked.modified = state->modified;
      looked.named = checksum_of_name(path, root, static_cast<uintmax_t>(state->bytes));
      if (check == ShardCheck::size && state->bytes > 0) return looked;
    }
    const EncodedPicture picture(path);
    if (check == ShardCheck::data) picture.check_data();
    looked.content = checksum_of_file(picture.file());
  } catch (const UnreadablePicture& error) {
    looked.reason = error.reason;
  } catch (const DataError& error) {
    const std::string what = error.what(), named = path.string() + ": ";
    looked.reason = what.starts_with(named) ? what.substr(named.size()) : what;
  }
  return looked;
}

std::array<const FolderSplit*, 3> splits_of(const FolderLayout& layout) {
  return {&layout.train, &layout.val, &layout.test};
}

// All of a folder is read before anything begins, unless that would take minutes.
ShardCheck check_for(int64_t bytes, bool skip_bad_pictures) {
  if (skip_bad_pictures) return ShardCheck::data;
  return bytes <= kCheckedBytes ? ShardCheck::structure : ShardCheck::size;
}

int64_t bytes_of(const FolderLayout& layout) {
  std::atomic<int64_t> total{0};
  for (const FolderSplit* split : splits_of(layout))
    for_each_index(std::ssize(split->files), [&](int64_t i) {
      std::error_code code;
      const uintmax_t bytes = fs::file_size(split->files[i].path, code);
      if (!code) total += static_cast<int64_t>(bytes);
    });
  return total;
}

int64_t bytes_of(const FolderContents& contents) {
  int64_t total = 0;
  for (const auto& looked : contents.looked)
    for (const LookedAt& one : looked) total += one.bytes;
  return total;
}

FolderContents look_through(FolderLayout layout, const fs::path& root, bool skip_bad_pictures) {
  FolderContents contents{.layout = std::move(layout)};
  contents.check = check_for(bytes_of(contents.layout), skip_bad_pictures);
  const auto splits = splits_of(contents.layout);
  for (size_t s = 0; s < splits.size(); ++s) {
    contents.looked[s].resize(splits[s]->files.size());
    for_each_index(std::ssize(contents.looked[s]), [&](int64_t i) {
      contents.looked[s][static_cast<size_t>(i)] =
          look_at(splits[s]->files[static_cast<size_t>(i)].path, root, contents.check);
    });
  }
  return contents;
}

// The files of a split, those that cannot be read left out and put into `failures`.
Dataset read_split(const FolderSplit& split, const std::vector<LookedAt>& looked, int64_t side,
                   ShardCheck check, std::vector<BadPicture>& failures) {
  Dataset data{.split = split.name, .height = side, .width = side};
  for (size_t i = 0; i < looked.size(); ++i) {
    const auto& [path, label] = split.files[i];
    if (!looked[i].reason.empty()) {
      failures.push_back({path, looked[i].reason});
      continue;
    }
    data.files.add_file(path, check == ShardCheck::size ? looked[i].named : looked[i].content);
    data.labels.push_back(label);
    ++data.count;
  }
  return data;
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
  std::optional<FolderContents> known = load_folder_index(root);
  const FolderLayout layout = known ? std::move(known->layout) : find_layout(root);
  const auto& test = layout.test.files.empty() ? layout.val : layout.test;
  return {.classes = layout.classes,
          .train_count = std::ssize(layout.train.files),
          .test_count = std::ssize(test.files)};
}

namespace {

DataSplits read_contents(FolderContents contents, const fs::path& root, int64_t side,
                         bool skip_bad_pictures) {
  FolderLayout& layout = contents.layout;
  if (layout.test.files.empty()) {
    std::swap(layout.test, layout.val);
    std::swap(contents.looked[1], contents.looked[2]);
  }
  const ShardCheck check = check_for(bytes_of(contents), skip_bad_pictures);
  const auto split = [&](const FolderSplit& of, size_t s, std::vector<BadPicture>& failures) {
    return read_split(of, contents.looked[s], side, check, failures);
  };
  std::vector<BadPicture> failures;
  DataSplits splits{.train = split(layout.train, 0, failures),
                    .test = split(layout.test, 2, failures),
                    .val = split(layout.val, 1, failures)};
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

}  // namespace

DataSplits read_layout(FolderLayout layout, const fs::path& root, int64_t side,
                       bool skip_bad_pictures) {
  return read_contents(look_through(std::move(layout), root, skip_bad_pictures), root, side,
                       skip_bad_pictures);
}

DataSplits read_image_folder(const fs::path& root, int64_t side, bool skip_bad_pictures) {
  if (auto known = load_folder_index(root))
    if (known->check >= check_for(bytes_of(*known), skip_bad_pictures))
      return read_contents(std::move(*known), root, side, skip_bad_pictures);
  const int64_t began = std::chrono::duration_cast<std::chrono::nanoseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
  FolderContents contents = look_through(find_layout(root), root, skip_bad_pictures);
  const std::string remark = keep_folder_index(root, contents, began);
  DataSplits splits = read_contents(std::move(contents), root, side, skip_bad_pictures);
  splits.remark = remark;
  return splits;
}

DataSplits read_unlabelled(const fs::path& root, int64_t side, bool skip_bad_pictures) {
  DataSplits splits = read_layout(find_pictures(root), root, side, skip_bad_pictures);
  splits.train.labelled = splits.val.labelled = splits.test.labelled = false;
  if (splits.test.count == 0)
    throw DataError(concat_text(root.string(), ": no readable picture; ", splits.left_out));
  return splits;
}

}  // namespace passband
