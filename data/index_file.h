// Index files of what lies in a folder: their bytes, and where they may lie.
#pragma once
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace passband {

class IndexWriter {
 public:
  template <class T> void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view text) {
    number<uint64_t>(text.size());
    bytes_.append(text);
  }
  void raw(std::string_view text) { bytes_.append(text); }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
};

// Numbers and texts from bytes; what runs past their end is 0 or empty, and leaves `good` false.
class IndexReader {
 public:
  explicit IndexReader(std::string_view bytes) : rest_(bytes) {}
  template <class T> T number() {
    T value{};
    if (rest_.size() < sizeof value) good_ = false;
    if (!good_) return {};
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const auto length = number<uint64_t>();
    if (length > rest_.size()) good_ = false;
    if (!good_) return {};
    const std::string text(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return text;
  }
  // How many things of at least so many bytes follow.
  uint64_t count(size_t least) {
    const auto count = number<uint64_t>();
    if (count > rest_.size() / least) good_ = false;
    return good_ ? count : 0;
  }
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// Where the index `name` of a folder may lie, the best place first: there, then in
// $XDG_CACHE_HOME/passband or ~/.cache/passband.
std::vector<std::filesystem::path> places_of_index(const std::filesystem::path& folder,
                                                   const std::string& name);

// Keeps an index at the first place that takes it. Whether one does, and a remark where that is not
// the first; `of` what it is, such as "shards".
std::pair<bool, std::string> keep_index(const std::vector<std::filesystem::path>& places,
                                        const std::string& bytes, const std::string& of);

}  // namespace passband
