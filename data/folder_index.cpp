#include "data/folder_index.h"

#include <algorithm>
#include <string_view>

#include <sys/stat.h>

#include "data/index_file.h"
#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kFolderMagic = "passband folder 1\n";
constexpr int64_t kSecond = 1'000'000'000;

// The root itself changes when its index is written: it is known by its entries.
uint64_t entries_of(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(root, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(kFolderIndex)) continue;  // and what it is written to at first
    names.push_back(name + (entry->is_directory(code) ? "/" : ""));
  }
  std::ranges::sort(names);
  return checksum_of(join(names, "\n"));
}

void write_split(IndexWriter& out, const FolderSplit& split, const std::vector<LookedAt>& looked,
                 const fs::path& root) {
  out.text(split.name);
  out.number<uint64_t>(looked.size());
  for (size_t i = 0; i < looked.size(); ++i) {
    const LookedAt& one = looked[i];
    out.text(fs::path(split.files[i].path).lexically_relative(root).native());
    out.number(split.files[i].label);
    out.number(one.bytes), out.number(one.modified);
    out.number(one.named), out.number(one.content);
    out.text(one.reason);
  }
}

void parse_split(IndexReader& in, FolderSplit& split, std::vector<LookedAt>& looked,
                 const fs::path& root) {
  split.name = in.text();
  const uint64_t count = in.count(6 * sizeof(uint64_t) + sizeof(int32_t));
  split.files.reserve(count), looked.reserve(count);
  for (uint64_t i = 0; i < count && in.good(); ++i) {
    LabelledFile& file = split.files.emplace_back();
    LookedAt& one = looked.emplace_back();
    file.path = (root / in.text()).native();
    file.label = in.number<int32_t>();
    one.bytes = in.number<int64_t>(), one.modified = in.number<int64_t>();
    one.named = in.number<uint64_t>(), one.content = in.number<uint64_t>();
    one.reason = in.text();
  }
}

void write_left_out(IndexWriter& out, const LeftOut& left_out) {
  out.number<uint64_t>(left_out.reasons().size());
  for (const LeftOut::Reason& reason : left_out.reasons()) {
    out.text(reason.text), out.number(reason.count);
    out.number<uint64_t>(reason.names.size());
    for (const std::string& name : reason.names) out.text(name);
  }
}

// A name's count is that of all; those after the first add none.
void parse_left_out(IndexReader& in, LeftOut& left_out) {
  for (uint64_t left = in.count(3 * sizeof(uint64_t)); left > 0 && in.good(); --left) {
    const std::string text = in.text();
    int64_t count = in.number<int64_t>();
    for (uint64_t names = in.count(sizeof(uint64_t)); names > 0 && in.good(); --names) {
      left_out.add(text, in.text(), count);
      count = 0;
    }
  }
}

bool files_as_they_were(const FolderSplit& split, const std::vector<LookedAt>& looked) {
  const size_t step = std::max<size_t>(1, looked.size() / static_cast<size_t>(kIndexedPictures));
  for (size_t i = 0; i < looked.size(); ++i) {
    if (i % step != 0 && looked[i].reason.empty()) continue;
    if (state_of_file(split.files[i].path) != FileState{looked[i].bytes, looked[i].modified})
      return false;
  }
  return true;
}

std::optional<FolderContents> parse_index(std::string_view bytes, const fs::path& root) {
  constexpr size_t kSum = sizeof(uint64_t);
  if (!bytes.starts_with(kFolderMagic) || bytes.size() < kFolderMagic.size() + kSum)
    return std::nullopt;
  IndexReader sum(bytes.substr(bytes.size() - kSum));
  bytes.remove_suffix(kSum);
  if (sum.number<uint64_t>() != checksum_of(bytes)) return std::nullopt;
  IndexReader in(bytes.substr(kFolderMagic.size()));
  if (in.number<uint64_t>() != entries_of(root)) return std::nullopt;
  FolderContents contents;
  contents.check = static_cast<ShardCheck>(in.number<uint8_t>());
  for (uint64_t left = in.count(2 * sizeof(uint64_t)); left > 0 && in.good(); --left) {
    const fs::path folder = root / in.text();
    const auto modified = in.number<int64_t>();
    const auto now = state_of_file(folder);
    if (!now || now->modified != modified) return std::nullopt;
    contents.layout.watched.push_back(folder);
  }
  for (uint64_t left = in.count(sizeof(uint64_t)); left > 0 && in.good(); --left)
    contents.layout.classes.push_back(in.text());
  parse_left_out(in, contents.layout.left_out);
  FolderLayout& layout = contents.layout;
  const std::array splits = {&layout.train, &layout.val, &layout.test};
  for (size_t s = 0; s < splits.size(); ++s) {
    parse_split(in, *splits[s], contents.looked[s], root);
    if (!in.good() || !files_as_they_were(*splits[s], contents.looked[s])) return std::nullopt;
  }
  if (!in.at_end()) return std::nullopt;
  return contents;
}

}  // namespace

std::optional<FileState> state_of_file(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileState{status.st_size, status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec};
}

std::optional<FolderContents> load_folder_index(const fs::path& root) {
  for (const fs::path& place : places_of_index(root, kFolderIndex)) {
    std::error_code code;
    if (!fs::is_regular_file(place, code)) continue;
    try {
      if (auto contents = parse_index(read_file(place.string()), root)) return contents;
    } catch (const DataError&) {  // it may not be read: as if it were not there
    }
  }
  return std::nullopt;
}

std::string keep_folder_index(const fs::path& root, const FolderContents& contents, int64_t began) {
  size_t pictures = 0;
  for (const auto& looked : contents.looked) pictures += looked.size();
  if (pictures <= static_cast<size_t>(kIndexedPictures)) return "";
  IndexWriter out;
  out.raw(kFolderMagic);
  out.number(entries_of(root));
  out.number(static_cast<uint8_t>(contents.check));
  out.number<uint64_t>(contents.layout.watched.size());
  for (const fs::path& folder : contents.layout.watched) {
    const auto now = state_of_file(folder);
    if (!now || now->modified + 2 * kSecond > began) return "";
    out.text(folder.lexically_relative(root).native());
    out.number(now->modified);
  }
  out.number<uint64_t>(contents.layout.classes.size());
  for (const std::string& name : contents.layout.classes) out.text(name);
  write_left_out(out, contents.layout.left_out);
  const FolderLayout& layout = contents.layout;
  const std::array splits = {&layout.train, &layout.val, &layout.test};
  for (size_t s = 0; s < splits.size(); ++s) write_split(out, *splits[s], contents.looked[s], root);
  out.number(checksum_of(out.bytes()));
  return keep_index(places_of_index(root, kFolderIndex), out.bytes(), "pictures").second;
}

}  // namespace passband
