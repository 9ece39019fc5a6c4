#include "data/shard_contents.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include <sys/stat.h>

#include "data/image.h"
#include "data/tar.h"
#include "tensor/core/checksum.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kLongestLabel = int64_t{1} << 20;  // of KEY.cls or KEY.json, in bytes
constexpr int kDeepestJson = 64;
constexpr int64_t kNanoseconds = 1'000'000'000;

struct NamedMember {
  TarMember member;
  std::string extension;  // in small letters; of "a/b.seg.png" it is "seg.png"
};

struct Sample {
  std::string key;
  std::vector<NamedMember> members;
};

bool is_picture(const std::string& extension) {
  constexpr std::array<std::string_view, 11> known = {"jpg", "jpeg", "png", "webp", "gif", "bmp",
                                                      "tif", "tiff", "ppm", "pgm",  "avif"};
  return std::ranges::find(known, extension) != known.end();
}

// Where a name divides: at the first point of its last part, which does not begin with one.
std::optional<size_t> end_of_key(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t base = slash == std::string::npos ? 0 : slash + 1;
  const size_t point = name.find('.', base);
  if (point == std::string::npos || point == base) return std::nullopt;
  return point;
}

std::string trimmed(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

class BadSample : public DataError {
  using DataError::DataError;
};

// A label, or BadSample.
int32_t label_of(const std::string& text, const std::vector<std::string>& classes) {
  const auto named = std::ranges::find(classes, text);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
    if (named != classes.end()) return static_cast<int32_t>(named - classes.begin());
    throw BadSample(concat_text("its label ", quote(text), " is no number",
                                classes.empty() ? "" : " and no class of the list beside it"));
  }
  const int64_t most = classes.empty() ? kMostClasses : std::ssize(classes);
  if (number < 0 || number >= most)
    throw BadSample(concat_text("its label ", number, " is not 0 to ", most - 1));
  return static_cast<int32_t>(number);
}

std::string text_of_json(const std::string& text) {
  const auto not_deep = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > kDeepestJson) throw BadSample("its JSON is nested too deep");
    return true;
  };
  const nlohmann::json json = nlohmann::json::parse(text, not_deep, /*allow_exceptions=*/false);
  if (!json.is_object()) throw BadSample("its .json is no JSON object");
  for (const char* name : {"label", "cls", "class_id", "class", "target"}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number_integer()) return found->dump();
    throw BadSample(concat_text("\"", name, "\" of its .json is neither a number nor a name"));
  }
  throw BadSample("its .json has none of \"label\", \"cls\", \"class_id\", \"class\", \"target\"");
}

class ShardReader {
 public:
  ShardReader(const fs::path& path, ShardCheck check, const std::vector<std::string>& classes)
      : tar_(path), check_(check), classes_(classes) {
    contents_.check = check;
  }

  ShardContents read() {
    try {
      while (const std::optional<TarMember> member = tar_.next()) take(*member);
      finish();
    } catch (const DamagedTar& error) {
      // Of a sample that the damage cut, there may be a whole part.
      if (has("cls") || has("json")) finish();
      contents_.faults.push_back({error.offset, "", error.reason});
    }
    return std::move(contents_);
  }

 private:
  void pass_over(const std::string& reason, const std::string& name) {
    auto found = std::ranges::find(contents_.rest, reason, &ShardRest::reason);
    if (found == contents_.rest.end())
      found = contents_.rest.insert(found, {reason, one_line(name), 0});
    ++found->count;
  }

  void take(const TarMember& member) {
    const std::optional<size_t> end = end_of_key(member.name);
    if (!member.file) return pass_over("a link, a device or a sparse file", member.name);
    if (!end) return pass_over("no KEY.jpg", member.name);
    const std::string key = member.name.substr(0, *end);
    if (sample_.members.empty() || key != sample_.key) {
      finish();
      sample_.key = key;
    }
    std::string extension = member.name.substr(*end + 1);
    std::ranges::transform(extension, extension.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    sample_.members.push_back({member, extension});
  }

  const NamedMember* has(std::string_view extension) const {
    const auto found = std::ranges::find(sample_.members, extension, &NamedMember::extension);
    return found == sample_.members.end() ? nullptr : &*found;
  }

  void finish() {
    const Sample sample = std::exchange(sample_, {});
    const auto picture = std::ranges::find_if(
        sample.members, [](const NamedMember& one) { return is_picture(one.extension); });
    if (sample.members.empty()) return;
    if (picture == sample.members.end())
      return pass_over("no picture", sample.members.front().member.name);
    sample_ = sample;
    try {
      contents_.pictures.push_back(look_at(*picture));
    } catch (const UnreadablePicture& error) {
      contents_.faults.push_back(
          {picture->member.offset, one_line(picture->member.name), error.reason});
    } catch (const BadSample& error) {
      contents_.faults.push_back(
          {picture->member.offset, one_line(picture->member.name), error.what()});
    }
    sample_ = {};
  }

  ShardPicture look_at(const NamedMember& picture) {
    const TarMember& member = picture.member;
    const auto pictures = std::ranges::count_if(
        sample_.members, [](const NamedMember& one) { return is_picture(one.extension); });
    if (pictures > 1) throw BadSample("its key has two pictures");
    if (!keys_.insert(sample_.key).second) throw BadSample("its key came before in the shard");
    if (member.bytes == 0) throw BadSample("the file is empty");
    if (member.bytes > kMaxImageFileBytes)
      throw BadSample(
          concat_text("is ", member.bytes, " bytes, the limit is ", kMaxImageFileBytes));
    ShardPicture found{
        .offset = member.offset,
        .bytes = static_cast<int32_t>(member.bytes),
        .label = label_of(label_text(), classes_),
        .named = checksum_of(concat_text(member.name, " of ", member.bytes, " bytes")),
        .lead = static_cast<int32_t>(member.offset - member.header)};
    if (check_ == ShardCheck::size) return found;
    const EncodedPicture encoded(tar_.content(member), "");
    if (check_ == ShardCheck::data) encoded.check_data();
    const auto* const bytes = reinterpret_cast<const char*>(encoded.file().data());
    found.content = checksum_of({bytes, encoded.file().size()});
    return found;
  }

  std::string label_text() const {
    const NamedMember* const plain = has("cls");
    const NamedMember* const found = plain ? plain : has("json");
    if (!found) throw BadSample("it has no label (KEY.cls or KEY.json)");
    if (found->member.bytes > kLongestLabel)
      throw BadSample(concat_text("its label is ", found->member.bytes, " bytes long"));
    const std::vector<uint8_t> bytes = tar_.content(found->member);
    const std::string text(bytes.begin(), bytes.end());
    return plain ? trimmed(text) : text_of_json(text);
  }

  TarReader tar_;
  ShardCheck check_;
  const std::vector<std::string>& classes_;
  Sample sample_;  // that is being gathered
  std::set<std::string> keys_;
  ShardContents contents_;
};

// Its bytes and its last change; nothing where there is no such file.
std::optional<std::pair<int64_t, int64_t>> state_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::pair<int64_t, int64_t>(status.st_size,
                                     status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec);
}

}  // namespace

ShardContents read_shard(const fs::path& path, ShardCheck check,
                         const std::vector<std::string>& classes) {
  const auto before = state_of(path);
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  ShardContents contents = ShardReader(path, check, classes).read();
  if (before) std::tie(contents.bytes, contents.modified) = *before;
  contents.read_at = now;
  return contents;
}

bool still_valid(const ShardContents& contents, const fs::path& path, ShardCheck check) {
  const auto now = state_of(path);
  return now && *now == std::pair(contents.bytes, contents.modified) && contents.check >= check;
}

bool tells_changes(const ShardContents& contents) {
  return contents.modified + 2 * kNanoseconds <= contents.read_at;
}

}  // namespace passband
