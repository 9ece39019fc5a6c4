// The table of known data sets, the search for their files, and loading by name.
#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <optional>
#include <set>

#include <unistd.h>

#include "data/folder_layout.h"
#include "data/image.h"
#include "data/imagenet_classes.h"
#include "data/known_sets.h"
#include "data/published_sums.h"
#include "data/readers.h"
#include "data/shard_names.h"
#include "data/shards.h"
#include "data/subset.h"
#include "tensor/core/error.h"
#include "tensor/core/file_kind.h"
#include "tensor/core/parallel.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

bool is_archive(const std::string& name) {
  return std::ranges::any_of(std::array{".gz", ".tgz", ".tar", ".zip", ".xz", ".bz2"},
                             [&](const char* end) { return name.ends_with(end); });
}

// What to do with a file that was given where a folder belongs.
std::string no_folder_but(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!is_archive(name))
    return concat_text("is a file (", words(file_kind(file_head(file.string()))),
                       "), not a folder of pictures");
  const std::string unpack = name.ends_with(".zip") ? "unzip " : "tar -xf ";
  const KnownSet* const cifar = name.starts_with("cifar-100")  ? find_known("cifar100")
                                : name.starts_with("cifar-10") ? find_known("cifar10")
                                                               : nullptr;
  return concat_text("is an archive; unpack it (", unpack, file.string(), ") and give ",
                     cifar ? concat_text("--data ", cifar->info.name, " --data-dir FOLDER")
                           : std::string("the folder that comes out"));
}

// What is wrong with a name that is neither of a known set nor of a folder.
[[noreturn]] void unknown_name(const std::string& name) {
  if (fs::exists(name)) throw DataError(concat_text(name, ": ", no_folder_but(name)));
  if (name.find('/') != std::string::npos || is_archive(name))
    throw DataError(concat_text(name, ": no such ", is_archive(name) ? "file" : "folder"));
  std::vector<std::string> names;
  std::string list;
  for (const KnownSet& set : known_sets()) {
    names.push_back(set.info.name);
    list += set.info.name + ", ";
  }
  throw UsageError(concat_text("unknown data set ", quote(name), did_you_mean(name, names), " (",
                               list, "or a folder that holds train/ and val/, or tar shards)"));
}

// data/downloads of the repository, seen from the working directory or any folder above it.
std::optional<fs::path> downloads_folder() {
  std::error_code code;
  for (fs::path at = fs::current_path(code); !code && !at.empty(); at = at.parent_path()) {
    if (fs::is_directory(at / "data" / "downloads")) return at / "data" / "downloads";
    if (at == at.root_path()) break;
  }
  return std::nullopt;
}

std::vector<fs::path> search_roots(const fs::path& data_dir) {
  if (!data_dir.empty()) return {data_dir};
  std::vector<fs::path> roots;
  if (const char* variable = std::getenv("PASSBAND_DATA"); variable && *variable)
    roots.emplace_back(variable);
  if (const std::optional<fs::path> downloads = downloads_folder()) roots.push_back(*downloads);
  roots.emplace_back("/usr/share/datasets");  // where Debian puts dataset-fashion-mnist
  return roots;
}

// `folders`: one of its class folders tells it too.
bool holds(const SetFiles& files, const fs::path& folder, bool folders = false) {
  std::error_code code;
  return std::ranges::any_of(files.markers, [&](const std::string& file) {
    return fs::is_regular_file(folder / file, code) ||
           (folders && fs::is_directory(folder / file, code));
  });
}

// A set that is part of another one has its class folders, but not as many.
bool holds_more_classes(const KnownSet& set, const fs::path& folder) {
  return std::ranges::any_of(std::array{"train", "val"}, [&](const char* split) {
    std::error_code code;
    int64_t classes = 0;
    for (fs::directory_iterator entry(folder / split, code), end; !code && entry != end;
         entry.increment(code))
      classes += entry->is_directory(code) ? 1 : 0;
    return classes > set.info.classes;
  });
}

bool holds(const KnownSet& set, const fs::path& folder) {
  const bool folders = set.info.form == DataForm::folders;
  return (holds(set.files, folder, folders) && !(folders && holds_more_classes(set, folder))) ||
         holds(set.python, folder);
}

// The folder that holds the set: a root itself, or a folder in it whose name starts with the set's
// own (imagenette comes as imagenette2, imagenette2-160 and imagenette2-320).
std::optional<fs::path> find_in(const KnownSet& set, const fs::path& root) {
  if (holds(set, root)) return root;
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator entry(root, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    const bool named = name.starts_with(set.files.folder) ||
                       (!set.python.folder.empty() && name.starts_with(set.python.folder));
    if (named && holds(set, entry->path())) found.push_back(entry->path());
  }
  if (found.empty()) return std::nullopt;
  return *std::ranges::min_element(found);
}

// "; ROOT/cifar-10-binary.tar.gz is there: unpack it with tar -xf", where it is.
std::string archive_hint(const KnownSet& set, const fs::path& root) {
  std::error_code code;
  for (fs::directory_iterator entry(root, code), end; !set.archive.empty() && !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(set.archive) && is_archive(name))
      return concat_text("; ", entry->path().string(), " is there: unpack it with ",
                         name.ends_with(".zip") ? "unzip" : "tar -xf");
  }
  return "";
}

fs::path find_files(const KnownSet& set, const fs::path& data_dir) {
  std::string looked, archives;
  for (const fs::path& root : search_roots(data_dir)) {
    if (const std::optional<fs::path> found = find_in(set, root)) return *found;
    looked += (looked.empty() ? "" : ", ") + root.string();
    archives += archive_hint(set, root);
  }
  throw DataError(concat_text(
      set.info.name, ": not found in ", looked, " (", set.files.folder, "/); get it with ",
      set.remedy, ", name its place with --data-dir, or use the built-in --data shapes", archives));
}

using Resize = std::function<void(const PixelView& in, uint8_t* out)>;

void resize_all(Dataset& data, int64_t side, const Resize& resize) {
  std::vector<uint8_t> images(data.count * side * side * 3);
  for_each_index(data.count, [&](int64_t i) {
    resize({&data.images[i * data.image_bytes()], data.height, data.width, data.width * 3},
           &images[i * side * side * 3]);
  });
  data.images = std::move(images);
  data.height = data.width = side;
}

// Pictures in memory at the side that the network sees.
void fit_stored(DataSplits& splits, const DatasetRequest& request) {
  const Preprocessing& how = request.preprocessing;
  const bool named = how.interpolation != PictureFilter::automatic;
  for (Dataset* const data : {&splits.train, &splits.val, &splits.test}) {
    const int64_t side = request.image_size > 0 ? request.image_size : data->height;
    if (data->streamed() || data->count == 0) continue;
    const bool tested = data != &splits.train;
    if (named && tested) {
      resize_all(*data, side,
                 [&](const PixelView& in, uint8_t* out) { preprocess(in, how, side, out); });
    } else if (data->height != side || data->width != side) {
      resize_all(*data, side, [&](const PixelView& in, uint8_t* out) {
        scale_picture(in, how.interpolation, out, side);
      });
    }
  }
}

DataSplits draw(const DatasetRequest& request) {
  ShapesOptions options = request.shapes;
  if (request.image_size > 0) options.size = request.image_size;
  return make_shapes(options);
}

DataSplits read_folders(const KnownSet& set, const fs::path& folder, int64_t side, bool skip_bad) {
  const bool native = set.one_size && side == set.info.height;
  DataSplits splits =
      read_layout(set.layout(folder), folder, native ? side : stored_size(side), skip_bad);
  for (Dataset* const split : {&splits.train, &splits.test, &splits.val}) {
    split->name = set.info.name;
    split->mean = set.info.mean;
    split->std = set.info.std;
    if (set.finish) set.finish(*split);
  }
  return splits;
}

DataSplits read_files(const KnownSet& set, const fs::path& folder, int64_t side) {
  const SetFiles& files = holds(set.files, folder) ? set.files : set.python;
  DataSplits splits = files.read(folder);
  check_published_sums(folder, files.sums, set.remedy);
  if (side != set.info.height)
    check_memory(set.info.name, splits.train.count + splits.test.count, side);
  return splits;
}

DataSplits load_known(const KnownSet& set, const DatasetRequest& request) {
  if (set.info.form == DataForm::drawn) return draw(request);
  if (set.info.form == DataForm::described)
    throw UsageError(concat_text(set.info.name,
                                 ": only its description is built in; pass the folder that holds "
                                 "train/ and val/ as --data"));
  const fs::path folder = find_files(set, request.data_dir);
  const int64_t side = request.image_size > 0 ? request.image_size : set.info.height;
  return set.info.form == DataForm::folders
             ? read_folders(set, folder, side, request.skip_bad_pictures)
             : read_files(set, folder, side);
}

// The known set whose files a folder holds, such as CIFAR's; null: it is none of them.
const KnownSet* known_in(const fs::path& folder) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) return nullptr;
  for (const KnownSet& set : known_sets())
    if (holds(set, folder)) return &set;
  return nullptr;
}

DataSplits load_splits(const DatasetRequest& request) {
  if (const KnownSet* set = find_known(request.name)) return load_known(*set, request);
  if (const KnownSet* set = known_in(request.name)) {
    DatasetRequest known = request;
    known.data_dir = request.name;
    return load_known(*set, known);
  }
  const int64_t side = stored_size(request.image_size > 0 ? request.image_size : 224);
  if (names_shards(request.name)) return read_shards(request.name, side, request.skip_bad_pictures);
  if (!fs::is_directory(request.name)) unknown_name(request.name);
  return read_image_folder(request.name, side, request.skip_bad_pictures);
}

// Takes the pictures that --val-split asks for from those of training.
void divide(DataSplits& splits, const DatasetRequest& request) {
  if (request.val_split == 0) return;
  if (splits.val.count > 0)
    throw UsageError(concat_text("--val-split: ", request.name, " has ", splits.val.split, "/ and ",
                                 splits.test.split, "/; nothing more is to be held out"));
  if (splits.train.count == 0)
    throw UsageError(concat_text("--val-split: ", request.name, " has no training pictures"));
  HeldOut parts = hold_out(splits.train, request.val_split, request.val_seed);
  splits.train = std::move(parts.rest);
  (splits.test.count == 0 ? splits.test : splits.val) = std::move(parts.held);
}

// Training needs pictures to learn from and others to be judged by.
void check_splits(DataSplits& splits, const DatasetRequest& request) {
  if (!request.training) {
    if (splits.test.count == 0) std::swap(splits.train, splits.test);
    return;
  }
  if (splits.train.count == 0)
    throw DataError(
        concat_text(request.name, ": has ", splits.test.split, "/ but no train/ to learn from"));
  if (splits.test.count == 0 && names_shards(request.name))
    throw DataError(concat_text(request.name,
                                ": no shards val-*.tar beside them to be judged by; "
                                "to hold out some of its ",
                                splits.train.count, " pictures give --val-split 0.1"));
  if (splits.test.count == 0)
    throw DataError(
        concat_text(request.name,
                    ": expected train/<class>/<picture> and val/<class>/<picture> in it; "
                    "to hold out some of its ",
                    splits.train.count, " pictures give --val-split 0.1"));
}

std::string picture_counts(const DataSplits& splits) {
  std::vector<std::string> parts;
  for (const Dataset* split : {&splits.train, &splits.val, &splits.test})
    if (split->count > 0)
      parts.push_back(
          concat_text(split->split, " ", split->count, parts.empty() ? " pictures" : ""));
  return parts.empty() ? "no pictures" : join(parts);
}

}  // namespace

void Dataset::resize(int64_t index, const std::function<PictureWindow(int64_t, int64_t)>& window,
                     uint8_t* out, int64_t size, PictureFilter filter,
                     std::vector<uint8_t>* content) const {
  const auto scale_window = [&](const uint8_t* pixels, int64_t rows, int64_t columns) {
    const PictureWindow w = window(rows, columns);
    scale_picture({pixels + (w.top * columns + w.left) * 3, w.height, w.width, columns * 3}, filter,
                  out, size);
  };
  if (!streamed()) return scale_window(images.data() + index * image_bytes(), height, width);
  try {
    const EncodedPicture picture = files.open(index, content);
    if (filter == PictureFilter::automatic)
      return picture.resize(window(picture.height(), picture.width()), out, size, size);
    const Image whole = picture.decode();
    scale_window(whole.pixels.data(), whole.height, whole.width);
  } catch (const UnreadablePicture& error) {
    throw DataError(concat_text(
        error.what(), "; mend or remove it, or leave out what is damaged by --skip-bad-pictures"));
  }
}

std::vector<int32_t> Dataset::shown_classes() const {
  const std::set<int32_t> shown(labels.begin(), labels.end());
  return {shown.begin(), shown.end()};
}

PictureBytes Dataset::image(int64_t index, std::vector<uint8_t>* content) const {
  if (!streamed()) return PictureBytes(images.data() + index * image_bytes());
  std::vector<uint8_t> pixels(static_cast<size_t>(image_bytes()));
  if (preprocessing.interpolation == PictureFilter::automatic) {
    resize(index, centre_square, pixels.data(), height, PictureFilter::automatic, content);
  } else {
    const Image whole = files.open(index, content).decode();
    preprocess({whole.pixels.data(), whole.height, whole.width, whole.width * 3}, preprocessing,
               height, pixels.data());
  }
  return PictureBytes(std::move(pixels));
}

void check_memory(const std::string& name, int64_t pictures, int64_t side) {
  const double need = static_cast<double>(pictures * side * side * 3);
  const double have =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (need > 0.8 * have)
    throw OutOfMemory(concat_text(name, ": ", pictures, " pictures of ", side, " x ", side,
                                  " pixels need ", need / 1e9, " GB and this machine has ",
                                  have / 1e9, " GB; choose a smaller --img-size"));
}

std::vector<DatasetInfo> list_datasets() {
  std::vector<DatasetInfo> infos;
  for (const KnownSet& set : known_sets()) infos.push_back(set.info);
  return infos;
}

DatasetInfo dataset_info(const std::string& name) {
  if (const KnownSet* set = find_known(name)) return set->info;
  if (const KnownSet* set = known_in(name)) return set->info;
  const bool shards = names_shards(name);
  if (!shards && !fs::is_directory(name)) unknown_name(name);
  const FolderSummary summary = shards ? summarise_shards(name) : summarise_image_folder(name);
  return {.name = name,
          .classes = static_cast<int64_t>(summary.classes.size()),
          .height = 224,
          .width = 224,
          .mean = kImageNetMean,
          .std = kImageNetStd,
          .train_count = summary.train_count,
          .test_count = summary.test_count,
          .source = shards ? "tar shards" : "a folder of pictures",
          .form = shards ? DataForm::shards : DataForm::folders};
}

DatasetInfo dataset_info(const DatasetRequest& request) {
  DatasetInfo info = dataset_info(request.name);
  if (request.image_size > 0) info.height = info.width = request.image_size;
  if (info.form == DataForm::drawn) {
    info.classes = request.shapes.classes;
    info.train_count = request.shapes.train_count;
    info.test_count = request.shapes.test_count;
  }
  return info;
}

DataSplits described_dataset(const DatasetInfo& info) {
  Dataset data{.name = info.name, .split = "test", .height = info.height, .width = info.width};
  if (info.classes == kImagenetClasses) data.classes = imagenet_class_names();
  else
    for (int64_t c = 0; c < info.classes; ++c) data.classes.push_back(std::to_string(c));
  data.mean = info.mean;
  data.std = info.std;
  return {.train = data, .test = data};
}

fs::path find_dataset(const std::string& name, const fs::path& data_dir) {
  const KnownSet* const set = find_known(name);
  if (!set) unknown_name(name);
  return find_files(*set, data_dir);
}

DataSplits load_dataset(const DatasetRequest& request) {
  if (request.image_size != 0 && (request.image_size < 8 || request.image_size > 4096))
    throw UsageError(
        concat_text("image size is ", request.image_size, "; it must be 8 to 4096 pixels"));
  DataSplits splits = load_splits(request);
  divide(splits, request);
  check_splits(splits, request);
  fit_stored(splits, request);
  if (request.preprocessing != Preprocessing{})
    prepare_pictures(splits, request.preprocessing, dataset_info(request).height);
  return splits;
}

DataSplits load_unlabelled(const fs::path& folder, std::vector<std::string> classes,
                           int64_t image_size, bool skip_bad_pictures) {
  if (!fs::is_directory(folder))
    throw DataError(concat_text(folder.string(), ": ",
                                fs::exists(folder) ? no_folder_but(folder) : "no such folder"));
  DataSplits splits = read_unlabelled(folder, stored_size(image_size), skip_bad_pictures);
  for (Dataset* const split : {&splits.train, &splits.test, &splits.val}) split->classes = classes;
  return splits;
}

std::string what_was_found(const DataSplits& splits) {
  if (!splits.test.labelled)
    return concat_text(splits.test.name, ": ", counted(splits.test.count, "picture"),
                       " without labels",
                       splits.left_out.empty() ? "" : "; left out: " + splits.left_out);
  std::string text = concat_text(splits.test.name, ": ", splits.test.num_classes(), " classes; ",
                                 picture_counts(splits));
  if (splits.val.count > 0)
    text += concat_text("; ", splits.val.split, " chooses the best weights, ", splits.test.split,
                        " is looked at once");
  if (!splits.left_out.empty()) text += "; left out: " + splits.left_out;
  if (!splits.remark.empty()) text += "; " + splits.remark;
  return text;
}

}  // namespace passband
