#include "data/shard_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

#include <fnmatch.h>

#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostShards = 1'000'000, kLongestPattern = 4096;
constexpr std::string_view kShardEnd = ".tar";

std::optional<int64_t> whole_number(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || value < 0)
    return std::nullopt;
  return value;
}

// "000..127" as its numbers, in the width of the longer end where one begins with a zero.
std::optional<std::vector<std::string>> numbers_of(std::string_view range) {
  const size_t dots = range.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view low = range.substr(0, dots), high = range.substr(dots + 2);
  const std::optional<int64_t> first = whole_number(low), last = whole_number(high);
  if (!first || !last || std::abs(*last - *first) >= static_cast<int64_t>(kMostShards))
    return std::nullopt;
  const bool padded = (low.size() > 1 && low[0] == '0') || (high.size() > 1 && high[0] == '0');
  const size_t width = padded ? std::max(low.size(), high.size()) : 0;
  std::vector<std::string> numbers;
  const int64_t step = *first <= *last ? 1 : -1;
  for (int64_t n = *first; n != *last + step; n += step) {
    std::string digits = std::to_string(n);
    digits.insert(0, width > digits.size() ? width - digits.size() : 0, '0');
    numbers.push_back(std::move(digits));
  }
  return numbers;
}

std::vector<std::string> choices_in(std::string_view braces, const std::string& pattern) {
  if (const auto numbers = numbers_of(braces)) return *numbers;
  std::vector<std::string> choices;
  std::string_view rest = braces;
  for (size_t comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(comma + 1);
  }
  choices.emplace_back(rest);
  if (choices.size() < 2)
    throw UsageError(concat_text(quote(pattern), ": {", one_line(braces),
                                 "} is no range {000..127} of at most ", kMostShards,
                                 " numbers and no list {a,b}"));
  return choices;
}

// The files in a folder whose names match, in byte order.
std::vector<fs::path> matching(const fs::path& folder, const std::string& name) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (::fnmatch(name.c_str(), entry->path().filename().c_str(), FNM_PERIOD) == 0)
      found.push_back(entry->path());
  std::ranges::sort(found, {}, [](const fs::path& path) { return path.native(); });
  return found;
}

std::vector<fs::path> shards_of_pattern(const std::string& pattern) {
  std::vector<fs::path> shards;
  for (const std::string& text : expand_braces(pattern)) {
    const fs::path path = text;
    const bool wild = path.filename().native().find_first_of("*?[") != std::string::npos;
    std::error_code code;
    if (fs::exists(path, code) || !wild) {
      if (!fs::exists(path, code))
        throw DataError(concat_text(text, ": no such shard",
                                    text == pattern ? "" : " (of " + quote(pattern) + ")"));
      shards.push_back(path);
      continue;
    }
    const std::vector<fs::path> found =
        matching(path.has_parent_path() ? path.parent_path() : ".", path.filename().string());
    shards.insert(shards.end(), found.begin(), found.end());
  }
  if (shards.empty()) throw DataError(concat_text(quote(pattern), ": matches no file"));
  return shards;
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

// Where a word stands by itself in a name, such as "train" in "set-train-00.tar".
std::optional<size_t> place_of(const std::string& name, std::string_view word) {
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    const size_t after = at + word.size();
    if ((at == 0 || !is_letter(name[at - 1])) && (after == name.size() || !is_letter(name[after])))
      return at;
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 3> kVal = {"val", "valid", "validation"};

// The shards of a folder whose names say `word` behind `before`.
std::vector<fs::path> saying(const fs::path& folder, const std::string& before,
                             std::string_view word) {
  std::vector<fs::path> found = matching(folder, "*.tar");
  std::erase_if(found, [&](const fs::path& path) {
    const std::string name = path.filename().string();
    const std::optional<size_t> at = place_of(name, word);
    return !at || name.substr(0, *at) != before;
  });
  return found;
}

void find_beside(ShardNames& names, const std::string& before) {
  for (const std::string_view word : kVal) {
    std::vector<fs::path> found = saying(names.folder, before, word);
    if (found.empty()) continue;
    if (!names.val.shards.empty())
      throw DataError(concat_text(names.folder.string(), ": holds shards of both ", names.val.name,
                                  " and ", word, "; one of them has to go"));
    names.val = {std::string(word), std::move(found)};
  }
  if (auto found = saying(names.folder, before, "test"); !found.empty())
    names.test = {"test", std::move(found)};
}

ShardNames of_folder(const fs::path& folder) {
  ShardNames names{.folder = folder};
  for (const fs::path& shard : matching(folder, "*.tar")) {
    const std::string name = shard.filename().string();
    if (const std::optional<size_t> at = place_of(name, "train")) {
      const std::string before = name.substr(0, *at);
      names.train = {"train", saying(folder, before, "train")};
      find_beside(names, before);
      return names;
    }
  }
  names.train = {"all", matching(folder, "*.tar")};
  return names;
}

}  // namespace

bool names_shards(const std::string& name) {
  std::error_code code;
  if (!fs::is_directory(name, code)) return name.ends_with(kShardEnd);
  bool shards = false;
  for (fs::directory_iterator entry(name, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string file = entry->path().filename().string();
    if (file.starts_with('.')) continue;
    if (entry->is_directory(code)) return false;
    shards |= file.ends_with(kShardEnd);
  }
  return shards;
}

std::vector<std::string> expand_braces(const std::string& pattern) {
  if (pattern.size() > kLongestPattern)
    throw UsageError(concat_text(quote(pattern), ": is longer than a path can be"));
  const size_t open = pattern.find('{');
  const size_t close = open == std::string::npos ? open : pattern.find('}', open);
  if (close == std::string::npos) return {pattern};
  std::vector<std::string> expanded;
  const std::string before = pattern.substr(0, open);
  const std::vector<std::string> rests = expand_braces(pattern.substr(close + 1));
  for (const std::string& choice :
       choices_in(std::string_view(pattern).substr(open + 1, close - open - 1), pattern))
    for (const std::string& rest : rests) {
      if (expanded.size() == kMostShards)
        throw UsageError(
            concat_text(quote(pattern), ": stands for more than ", kMostShards, " paths"));
      expanded.push_back(before + choice + rest);
    }
  return expanded;
}

ShardNames find_shards(const std::string& name) {
  std::error_code code;
  if (fs::is_directory(name, code)) return of_folder(name);
  ShardNames names{.train = {"all", shards_of_pattern(name)}};
  const fs::path& first = names.train.shards.front();
  names.folder = first.has_parent_path() ? first.parent_path() : ".";
  const std::string file = first.filename().string();
  if (const std::optional<size_t> at = place_of(file, "train")) {
    names.train.name = "train";
    find_beside(names, file.substr(0, *at));
  }
  return names;
}

bool finds_shards(const std::string& name) {
  try {
    return names_shards(name) && !find_shards(name).train.shards.empty();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace passband
