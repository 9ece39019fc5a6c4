// PickleValue: what a Python pickle of plain data holds. Nothing in it is executed.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace passband {

struct PickleValue {
  enum class Kind : uint8_t {
    none,
    number,  // whole and at most 64 bits, or true or false
    real,    // its value is not read
    text,    // or bytes, or a longer whole number's bytes
    name,    // of a class or a function: module and name, in `items`
    list,    // or tuple, or set
    dictionary,
    object,     // what would be called, its arguments, and its state
    reference,  // to what lies outside the pickle
  };
  Kind kind = Kind::none;
  int64_t number = 0;
  std::string_view text;  // lies in the file
  // Of a list its elements; of a dictionary keys and values by turns.
  std::vector<const PickleValue*> items;

  // The value of a key that is text; null without it.
  const PickleValue* find(std::string_view key) const;
  // Of a name: "collections.OrderedDict". Otherwise empty.
  std::string full_name() const;
};

// The value, which keeps all that it holds.
using Pickled = std::shared_ptr<const PickleValue>;

// Asked for every name of a class or a function; throws to refuse it.
using PickleNames = std::function<void(const PickleValue& name)>;

// Reads a pickle of protocol 2 to 5 that holds numbers, text, bytes, lists, dictionaries and
// objects such as NumPy arrays; an OrderedDict is a dictionary. The result points into `file`, of
// which `length`, where given, gets how much the pickle is. Throws DataError naming `path` for
// anything else.
Pickled read_pickle(std::span<const uint8_t> file, const std::string& path,
                    const PickleNames& names = {}, size_t* length = nullptr);

// The elements of a NumPy array in C order, `bytes` in all; empty when `value` is no such array.
std::string_view array_bytes(const PickleValue* value, size_t bytes);

}  // namespace passband
