// Parts of a model's name, taken off its front: each function says whether it found one.
#pragma once
#include <charconv>
#include <cstdint>
#include <string_view>

namespace passband {

inline bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A whole number from `least`.
inline bool take_number(std::string_view& text, int64_t& number, int64_t least = 1) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < least) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace passband
