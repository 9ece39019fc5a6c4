// Folders of pictures, one folder a class (torchvision's ImageFolder layout).
#include <algorithm>

#include "data/folder_layout.h"

#include "data/image.h"
#include "data/readers.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr size_t kNamedPictures = 1000;  // in one message

struct Failure {
  fs::path path;
  std::string reason;
};

// Why the picture could not be stored at `out`; empty: it was.
std::string store_picture(const fs::path& path, int64_t side, uint8_t* out) {
  try {
    resize_centre_square(read_image(path), side, out);
    return "";
  } catch (const UnreadablePicture& error) {
    return error.reason;
  } catch (const DataError& error) {
    const std::string what = error.what(), named = path.string() + ": ";
    return what.starts_with(named) ? what.substr(named.size()) : what;
  }
}

// Reads the pictures of a split. Those that cannot be read go to `failures`, and the others close
// up.
Dataset read_split(const FolderSplit& split, int64_t side, std::vector<Failure>& failures) {
  Dataset data{.split = split.name, .height = side, .width = side};
  const auto count = std::ssize(split.files);
  const int64_t bytes = data.image_bytes();
  data.images.resize(static_cast<size_t>(count * bytes));
  std::vector<std::string> reasons(split.files.size());
  for_each_index(count, [&](int64_t i) {
    reasons[i] = store_picture(split.files[i].path, side, data.images.data() + i * bytes);
  });
  for (int64_t i = 0; i < count; ++i) {
    if (!reasons[i].empty()) {
      failures.push_back({split.files[i].path, reasons[i]});
      continue;
    }
    if (data.count < i)
      std::copy_n(data.images.data() + i * bytes, bytes, data.images.data() + data.count * bytes);
    data.labels.push_back(split.files[i].label);
    ++data.count;
  }
  data.images.resize(static_cast<size_t>(data.count * bytes));
  return data;
}

[[noreturn]] void refuse(const std::vector<Failure>& failures) {
  constexpr const char* way_out =
      "; mend or remove what is unreadable, or leave it out with --skip-bad-pictures";
  const Failure& first = failures.front();
  if (failures.size() == 1)
    throw DataError(
        concat_text(first.path.string(), ": unreadable picture: ", first.reason, way_out));
  std::vector<std::string> named;
  for (const Failure& failure : failures) {
    if (named.size() == kNamedPictures) break;
    named.push_back(concat_text(failure.path.string(), " (", failure.reason, ")"));
  }
  if (failures.size() > named.size())
    named.push_back(concat_text("and ", failures.size() - named.size(), " more"));
  throw DataError(concat_text(failures.size(), " unreadable pictures: ", join(named), way_out));
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

DataSplits read_image_folder(const fs::path& root, int64_t side, bool skip_bad_pictures) {
  FolderLayout layout = find_layout(root);
  if (layout.test.files.empty()) std::swap(layout.test, layout.val);
  int64_t pictures = 0;
  for (const FolderSplit* split : {&layout.train, &layout.val, &layout.test})
    pictures += std::ssize(split->files);
  check_memory(root.string(), pictures, side);
  std::vector<Failure> failures;
  DataSplits splits{.train = read_split(layout.train, side, failures),
                    .test = read_split(layout.test, side, failures),
                    .val = read_split(layout.val, side, failures)};
  if (!failures.empty() && !skip_bad_pictures) refuse(failures);
  for (const Failure& failure : failures)
    layout.left_out.add("unreadable", failure.path.lexically_relative(root));
  for (Dataset* data : {&splits.train, &splits.test, &splits.val}) {
    data->name = root.string();
    data->classes = layout.classes;
    data->mean = {0.485f, 0.456f, 0.406f};  // ImageNet's, the custom for photographs
    data->std = {0.229f, 0.224f, 0.225f};
  }
  check_classes(layout.train.files.empty() ? splits.test : splits.train);
  splits.left_out = layout.left_out.text();
  return splits;
}

}  // namespace passband
