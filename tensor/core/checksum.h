// XXH64 (Collet 2012, github.com/Cyan4973/xxHash, seed 0): the checksum that the project's files
// carry. `xxhsum -H1` prints the same digits.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace passband {

// Bytes may be added in pieces of any size. Against accidents, not against forgery.
class Checksum {
 public:
  void add(std::string_view bytes);
  // Of all bytes added so far; more may follow.
  uint64_t value() const;

 private:
  void add_block(const char* block);

  std::array<uint64_t, 4> lanes_ = {0x60ea27eeadc0b5d6, 0xc2b2ae3d27d4eb4f, 0, 0x61c8864e7a143579};
  std::array<char, 32> rest_{};  // what does not fill a block yet
  size_t rest_bytes_ = 0;
  uint64_t bytes_ = 0;
};

uint64_t checksum_of(std::string_view bytes);

// 16 hexadecimal digits.
std::string checksum_text(uint64_t value);

}  // namespace passband
