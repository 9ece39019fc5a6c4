// UTF-8 (RFC 3629): decoding, and text of other encodings made valid.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace passband {

// The well-formed sequence at the front of a text and its code point; length 0 when malformed.
struct Decoded {
  size_t length = 0;
  uint32_t code = 0;
};

// `text` must not be empty.
Decoded decode_utf8(std::string_view text);

bool is_utf8(std::string_view text);

// The text itself when it is UTF-8. Otherwise every byte is taken for a character of Latin-1, which
// keeps different names different.
std::string to_utf8(std::string_view text);

}  // namespace passband
