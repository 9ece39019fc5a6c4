// PickleValue: what a Python pickle of plain data holds. Nothing in it is executed.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace passband {

struct PickleValue;
using Pickled = std::shared_ptr<PickleValue>;

struct PickleValue {
  enum class Kind : uint8_t { none, number, text, list, dictionary, object };
  Kind kind = Kind::none;
  int64_t number = 0;
  std::string_view text;  // bytes as well; lies in the file
  // Of a list or tuple its elements; of a dictionary keys and values by turns; of an object what
  // would be called, its arguments, and its state.
  std::vector<Pickled> items;

  // The value of a key that is text; null without it.
  const PickleValue* find(std::string_view key) const;
};

// Reads a pickle of protocol 2 to 5 that holds numbers, text, bytes, lists, dictionaries and
// objects such as NumPy arrays. The result points into `file`. Throws DataError naming `path` for
// anything else.
Pickled read_pickle(std::span<const uint8_t> file, const std::string& path);

// The elements of a NumPy array in C order, `bytes` in all; empty when `value` is no such array.
std::string_view array_bytes(const PickleValue* value, size_t bytes);

}  // namespace passband
