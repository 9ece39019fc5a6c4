// Edit distance and the suggestions made from it; quoting and durations.
#include "tensor/core/text.h"

#include <algorithm>
#include <cctype>

namespace passband {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace

int64_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<int64_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, previous);
    std::swap(previous, row);
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t change = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::vector<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates,
                                 size_t limit) {
  const std::string wanted = lower(name);
  const auto length = static_cast<int64_t>(wanted.size());
  const int64_t allowed = std::min(length - 1, std::max<int64_t>(1, (length + 1) / 3));
  std::vector<std::pair<int64_t, std::string>> found;
  for (const std::string& candidate : candidates) {
    const std::string other = lower(candidate);
    const int64_t distance = edit_distance(wanted, other);
    if (distance <= allowed) found.emplace_back(distance, candidate);
    else if (wanted.size() >= 2 && other.starts_with(wanted))
      found.emplace_back(allowed, candidate);
  }
  std::ranges::stable_sort(found, {}, &std::pair<int64_t, std::string>::first);
  // One slip is more likely than several: beside a candidate that close, others only mislead.
  if (!found.empty() && found.front().first <= 1)
    std::erase_if(found, [](const auto& entry) { return entry.first > 1; });
  std::vector<std::string> result;
  for (size_t i = 0; i < std::min(limit, found.size()); ++i) result.push_back(found[i].second);
  return result;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::vector<std::string> near = nearest(name, candidates);
  std::string text;
  for (size_t i = 0; i < near.size(); ++i) {
    text += i == 0 ? "; did you mean " : i + 1 < near.size() ? ", " : " or ";
    text += '"' + near[i] + '"';
  }
  return text.empty() ? text : text + '?';
}

std::string quote(std::string_view text) { return '"' + one_line(text, 80) + '"'; }

std::string one_line(std::string_view text, size_t longest) {
  std::string result;
  for (const char c : text.substr(0, longest))
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return result + (text.size() > longest ? "..." : "");
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

std::string counted(int64_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

std::string format_duration(double seconds) {
  const auto total = static_cast<int64_t>(seconds + 0.5);
  const auto two = [](int64_t value) { return (value < 10 ? ":0" : ":") + std::to_string(value); };
  if (total < 60) return std::to_string(total) + " s";
  if (total < 3600) return std::to_string(total / 60) + two(total % 60);
  return std::to_string(total / 3600) + two(total / 60 % 60) + two(total % 60);
}

}  // namespace passband
