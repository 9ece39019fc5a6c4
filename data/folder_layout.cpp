#include "data/folder_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <sstream>

#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/file_kind.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"
#include "tensor/core/utf8.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr const char* kAnnotations = "val_annotations.txt";  // of Tiny ImageNet
constexpr const char* kExpected =
    ": expected train/<class>/<picture> and val/<class>/<picture> in it";

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_hidden(const std::string& name) {
  constexpr std::array<std::string_view, 6> left_behind = {
      "__MACOSX",   "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information",
      "__pycache__"};
  return name.starts_with('.') || std::ranges::find(left_behind, name) != left_behind.end();
}

bool is_picture_kind(FileKind kind) { return kind >= FileKind::png && kind <= FileKind::jpeg2000; }

// By its name, or else by its content. What turns out to be no picture after all is reported when
// it is read.
bool is_picture(const fs::directory_entry& entry) {
  constexpr std::array<std::string_view, 15> extensions = {
      ".jpg", ".jpeg", ".jpe", ".jfif", ".png",  ".webp", ".gif", ".bmp",
      ".tif", ".tiff", ".ppm", ".pgm",  ".heic", ".avif", ".jp2"};
  std::error_code code;
  const bool regular = entry.is_regular_file(code);
  if (!regular && !(entry.is_symlink(code) && !entry.exists(code))) return false;
  if (std::ranges::find(extensions, lower(entry.path().extension().string())) != extensions.end())
    return true;
  return regular && is_picture_kind(file_kind(file_head(entry.path().string())));
}

struct ClassFolder {
  std::string name;
  std::vector<std::string> pictures;
};

class Finder {
 public:
  explicit Finder(const fs::path& root) : root_(root) {}
  FolderLayout find();
  FolderLayout find_pictures();

 private:
  // Its entries in byte order of their names, hidden ones left out.
  std::vector<fs::directory_entry> visible(const fs::path& folder);
  // All pictures below `folder`. `above`: the folders on the way, so that links make no circle.
  void walk(const fs::path& folder, std::vector<fs::path> above,
            std::vector<std::string>& pictures);
  std::vector<ClassFolder> class_folders(const fs::path& folder);
  void find_split(const fs::path& folder, FolderSplit& split, bool may_lack_labels);
  void find_annotated(const fs::path& folder, FolderSplit& split);
  void take_classes(const fs::path& folder, FolderSplit& split);
  std::optional<int32_t> label_of(const std::string& folder_name) const;
  void leave_out(std::string_view reason, const fs::path& path, int64_t count = 1) {
    layout_.left_out.add(reason, path.lexically_relative(root_), count);
  }

  fs::path root_;
  std::vector<std::string> names_;  // of the class folders, as the file system has them
  FolderLayout layout_;
};

std::vector<fs::directory_entry> Finder::visible(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code code;
  if (folder != root_) layout_.watched.push_back(folder);
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().filename().string().starts_with(kFolderIndex)) continue;  // our own
    if (is_hidden(entry->path().filename().string())) leave_out("hidden", entry->path());
    else entries.push_back(*entry);
  }
  if (code) throw DataError(concat_text(folder.string(), ": cannot be listed: ", code.message()));
  std::ranges::sort(entries, {}, [](const auto& entry) { return entry.path().native(); });
  return entries;
}

void Finder::walk(const fs::path& folder, std::vector<fs::path> above,
                  std::vector<std::string>& pictures) {
  std::error_code code;
  const fs::path self = fs::canonical(folder, code);
  if (std::ranges::find(above, self) != above.end()) {
    leave_out("a link to a folder above it", folder);
    return;
  }
  above.push_back(self);
  for (const fs::directory_entry& entry : visible(folder)) {
    if (entry.is_directory(code)) walk(entry.path(), above, pictures);
    else if (is_picture(entry)) pictures.push_back(entry.path().native());
    else if (entry.path().filename() != kAnnotations) leave_out("no picture", entry.path());
  }
}

std::vector<ClassFolder> Finder::class_folders(const fs::path& folder) {
  std::vector<ClassFolder> found;
  for (const fs::directory_entry& entry : visible(folder)) {
    std::error_code code;
    if (entry.is_directory(code)) {
      ClassFolder& one = found.emplace_back(ClassFolder{entry.path().filename().string(), {}});
      walk(entry.path(), {}, one.pictures);
      std::ranges::sort(one.pictures);
    } else {
      leave_out(is_picture(entry) ? "in no class folder" : "no picture", entry.path());
    }
  }
  return found;
}

std::optional<int32_t> Finder::label_of(const std::string& folder_name) const {
  const auto found = std::ranges::lower_bound(names_, folder_name);
  if (found == names_.end() || *found != folder_name) return std::nullopt;
  return static_cast<int32_t>(found - names_.begin());
}

// The classes are the folders of this split.
void Finder::take_classes(const fs::path& folder, FolderSplit& split) {
  const std::vector<ClassFolder> folders = class_folders(folder);
  std::vector<std::string> empty;
  for (const ClassFolder& one : folders) {
    if (one.pictures.empty()) empty.push_back(quote(one.name));
    for (const std::string& path : one.pictures)
      split.files.push_back({path, static_cast<int32_t>(names_.size())});
    names_.push_back(one.name);
    layout_.classes.push_back(to_utf8(one.name));
  }
  if (folders.size() < 2)
    throw DataError(concat_text(folder.string(), ": expected one folder per class, found ",
                                folders.size(), folders.empty() ? "" : " (" + names_[0] + ")"));
  if (!empty.empty())
    throw DataError(concat_text(folder.string(), ": no pictures of ",
                                empty.size() == 1 ? "class " : "classes ", join(empty),
                                "; put some there or remove the folder"));
}

// Lines of "val_0.JPEG<tab>n03444034<tab>box" tell the classes of the pictures.
void Finder::find_annotated(const fs::path& folder, FolderSplit& split) {
  const fs::path list = folder / kAnnotations;
  layout_.watched.push_back(list);
  std::map<std::string, int32_t> labels;
  int64_t number = 0;
  for (const std::string& line : split_text(read_file(list.string()), '\n')) {
    ++number;
    std::istringstream words(line);
    words.exceptions(std::ios::badbit);  // memory that runs out is no end of the line
    std::string picture, name;
    if (!(words >> picture >> name)) continue;
    const std::optional<int32_t> label = label_of(name);
    if (!label)
      throw DataError(
          concat_text(list.string(), ":", number, ": no class ", quote(name), " in train/"));
    labels[picture] = *label;
  }
  std::vector<std::string> pictures;
  walk(folder, {}, pictures);
  for (const std::string& path : pictures) {
    const auto found = labels.find(fs::path(path).filename().string());
    if (found == labels.end()) leave_out("not in val_annotations.txt", path);
    else split.files.push_back({path, found->second});
  }
  sort_by_class(split);
}

void Finder::find_split(const fs::path& folder, FolderSplit& split, bool may_lack_labels) {
  if (fs::exists(folder / kAnnotations)) {
    find_annotated(folder, split);
  } else {
    const LeftOut before = layout_.left_out;
    const std::vector<ClassFolder> folders = class_folders(folder);
    const auto known = [&](const ClassFolder& one) { return label_of(one.name).has_value(); };
    if (may_lack_labels && std::ranges::none_of(folders, known)) {
      layout_.left_out = before;
      leave_out("without labels", folder);
      return;
    }
    for (const ClassFolder& one : folders) {
      if (!known(one) && !one.pictures.empty())
        throw DataError(concat_text((folder / one.name).string(), ": no such class in train/"));
      if (!known(one)) leave_out("empty", folder / one.name);
      for (const std::string& path : one.pictures)
        split.files.push_back({path, *label_of(one.name)});
    }
  }
  if (split.files.empty())
    throw DataError(
        concat_text(folder.string(), ": holds no PNG or JPEG pictures in class folders"));
}

enum class Role : uint8_t { none, train, val, test };

Role role_of(const std::string& name) {
  const std::string word = lower(name);
  if (word == "train") return Role::train;
  if (word == "val" || word == "valid" || word == "validation") return Role::val;
  return word == "test" ? Role::test : Role::none;
}

bool holds_folders(const fs::path& folder) {
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->is_directory(code) && !is_hidden(entry->path().filename().string())) return true;
  return fs::exists(folder / kAnnotations, code);
}

// The folders of a root that are splits, by role. Nothing when they are classes that only happen to
// be called so.
std::map<Role, std::vector<fs::path>> splits_of(const std::vector<fs::path>& folders) {
  std::map<Role, std::vector<fs::path>> splits;
  bool others = false, parted = false;
  for (const fs::path& folder : folders) {
    const Role role = role_of(folder.filename().string());
    others |= role == Role::none;
    if (role == Role::none) continue;
    splits[role].push_back(folder);
    parted |= holds_folders(folder);
  }
  if (others && !parted) splits.clear();
  for (const auto& [role, same] : splits)
    if (same.size() > 1)
      throw DataError(concat_text(same[0].parent_path().string(), ": has both ",
                                  same[0].filename().string(), "/ and ",
                                  same[1].filename().string(), "/; one of them has to go"));
  return splits;
}

// "; did you mean ROOT/dataset?" where the only folder holds what was expected.
std::string hint_below(const std::vector<fs::path>& folders) {
  if (folders.size() != 1 || !is_image_folder(folders[0])) return "";
  return "; did you mean " + folders[0].string() + "?";
}

FolderLayout Finder::find() {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : visible(root_)) {
    std::error_code code;
    if (entry.is_directory(code)) folders.push_back(entry.path());
  }
  const auto splits = splits_of(folders);
  if (splits.empty()) {
    layout_.left_out = {};  // the root is read again, as the split that it is
    layout_.train.name = "all";
    if (folders.size() < 2)
      throw DataError(
          concat_text(root_.string(), kExpected, ", or one folder per class", hint_below(folders)));
    take_classes(root_, layout_.train);
    return std::move(layout_);
  }
  for (const fs::path& folder : folders)
    if (role_of(folder.filename().string()) == Role::none) leave_out("no split", folder);
  const std::array parts = {std::pair(Role::train, &layout_.train),
                            std::pair(Role::val, &layout_.val),
                            std::pair(Role::test, &layout_.test)};
  for (const auto& [role, split] : parts) {
    if (!splits.contains(role)) continue;
    const fs::path& folder = splits.at(role).front();
    split->name = folder.filename().string();
    if (names_.empty()) take_classes(folder, *split);
    else find_split(folder, *split, role == Role::test && !layout_.val.files.empty());
  }
  return std::move(layout_);
}

FolderLayout Finder::find_pictures() {
  std::vector<std::string> pictures;
  walk(root_, {}, pictures);
  if (pictures.empty()) {
    const std::string found = layout_.left_out.text();
    throw DataError(concat_text(root_.string(), ": no pictures in it or below",
                                found.empty() ? "" : "; found: " + found));
  }
  std::ranges::sort(pictures);
  layout_.test.name = "all";
  for (const std::string& path : pictures) layout_.test.files.push_back({path, -1});
  return std::move(layout_);
}

}  // namespace

FolderLayout find_layout(const fs::path& root) { return Finder(root).find(); }

FolderLayout find_pictures(const fs::path& root) { return Finder(root).find_pictures(); }

bool is_image_folder(const fs::path& root) {
  bool train = false, other = false;
  std::error_code code;
  for (fs::directory_iterator entry(root, code), end; !code && entry != end;
       entry.increment(code)) {
    const Role role = role_of(entry->path().filename().string());
    if (role == Role::none || !entry->is_directory(code)) continue;
    (role == Role::train ? train : other) = true;
  }
  return train && other;
}

}  // namespace passband
