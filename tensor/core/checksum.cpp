#include "tensor/core/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace passband {
namespace {

constexpr uint64_t kPrime1 = 0x9e3779b185ebca87, kPrime2 = 0xc2b2ae3d27d4eb4f,
                   kPrime3 = 0x165667b19e3779f9, kPrime4 = 0x85ebca77c2b2ae63,
                   kPrime5 = 0x27d4eb2f165667c5;

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

template <class Word> uint64_t word_at(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

uint64_t mixed_in(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

uint64_t joined(const std::array<uint64_t, 4>& lanes) {
  uint64_t hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
                  std::rotl(lanes[3], 18);
  for (const uint64_t lane : lanes) hash = (hash ^ mixed_in(0, lane)) * kPrime1 + kPrime4;
  return hash;
}

uint64_t with_rest(uint64_t hash, std::string_view rest) {
  for (; rest.size() >= 8; rest.remove_prefix(8))
    hash = std::rotl(hash ^ mixed_in(0, word_at<uint64_t>(rest.data())), 27) * kPrime1 + kPrime4;
  if (rest.size() >= 4) {
    hash = std::rotl(hash ^ word_at<uint32_t>(rest.data()) * kPrime1, 23) * kPrime2 + kPrime3;
    rest.remove_prefix(4);
  }
  for (const char byte : rest)
    hash = std::rotl(hash ^ static_cast<unsigned char>(byte) * kPrime5, 11) * kPrime1;
  return hash;
}

uint64_t spread(uint64_t hash) {
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace

void Checksum::add_block(const char* block) {
  for (uint64_t& lane : lanes_) {
    lane = mixed_in(lane, word_at<uint64_t>(block));
    block += 8;
  }
}

void Checksum::add(std::string_view bytes) {
  bytes_ += bytes.size();
  if (rest_bytes_ > 0 || bytes.size() < rest_.size()) {
    const size_t taken = bytes.copy(rest_.data() + rest_bytes_, rest_.size() - rest_bytes_);
    rest_bytes_ += taken;
    bytes.remove_prefix(taken);
    if (rest_bytes_ < rest_.size()) return;
    add_block(rest_.data());
  }
  for (; bytes.size() >= rest_.size(); bytes.remove_prefix(rest_.size())) add_block(bytes.data());
  rest_bytes_ = bytes.copy(rest_.data(), rest_.size());
}

uint64_t Checksum::value() const {
  const uint64_t blocks = bytes_ >= rest_.size() ? joined(lanes_) : kPrime5;
  return spread(with_rest(blocks + bytes_, {rest_.data(), rest_bytes_}));
}

uint64_t checksum_of(std::string_view bytes) {
  Checksum checksum;
  checksum.add(bytes);
  return checksum.value();
}

std::string checksum_text(uint64_t value) {
  std::string text(16, '0');
  for (size_t i = 0; i < text.size(); ++i, value >>= 4)
    text[text.size() - 1 - i] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace passband
