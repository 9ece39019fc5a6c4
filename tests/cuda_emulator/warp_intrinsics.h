// Shuffles, votes, matches and reductions of a warp under their CUDA names.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/cuda_emulator/entry_points.h"

namespace passband::emulator {

// Values a shuffle instruction takes: 4 or 8 bytes of a number.
template <class T>
concept Shuffled = std::is_arithmetic_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

template <Shuffled T>
T shuffled(Shuffle kind, uint32_t mask, T value, int operand, int width, Location at) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(kind, mask, bits, operand, width, at);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

namespace language {

template <Shuffled T> T __shfl_sync(uint32_t mask, T value, int source, int width = 32,
                                    Location at = Location::current()) {
  return shuffled(Shuffle::index, mask, value, source, width, at);
}
template <Shuffled T> T __shfl_xor_sync(uint32_t mask, T value, int lane_bits, int width = 32,
                                        Location at = Location::current()) {
  return shuffled(Shuffle::exclusive_or, mask, value, lane_bits, width, at);
}
template <Shuffled T> T __shfl_up_sync(uint32_t mask, T value, unsigned distance, int width = 32,
                                       Location at = Location::current()) {
  return shuffled(Shuffle::up, mask, value, static_cast<int>(distance), width, at);
}
template <Shuffled T> T __shfl_down_sync(uint32_t mask, T value, unsigned distance, int width = 32,
                                         Location at = Location::current()) {
  return shuffled(Shuffle::down, mask, value, static_cast<int>(distance), width, at);
}

inline uint32_t __ballot_sync(uint32_t mask, int predicate, Location at = Location::current()) {
  return ballot(mask, predicate != 0, "__ballot_sync", at);
}
inline int __any_sync(uint32_t mask, int predicate, Location at = Location::current()) {
  return ballot(mask, predicate != 0, "__any_sync", at) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, Location at = Location::current()) {
  return ballot(mask, predicate != 0, "__all_sync", at) == mask;
}
// The lanes that happen to run together. A program may rely on its own lane only, so that is all it
// is told.
inline uint32_t __activemask() { return own_lane_mask(); }

template <Shuffled T>
uint32_t __match_any_sync(uint32_t mask, T value, Location at = Location::current()) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return match(mask, bits, at);
}
template <Shuffled T> uint32_t __match_all_sync(uint32_t mask, T value, int* all_equal,
                                                Location at = Location::current()) {
  *all_equal = __match_any_sync(mask, value, at) == mask;
  return *all_equal ? mask : 0;
}

inline uint32_t __reduce_add_sync(uint32_t mask, uint32_t value,
                                  Location at = Location::current()) {
  return reduce_warp(Reduce::add, mask, value, at);
}
inline int __reduce_add_sync(uint32_t mask, int value, Location at = Location::current()) {
  return static_cast<int>(__reduce_add_sync(mask, static_cast<uint32_t>(value), at));
}
inline uint32_t __reduce_min_sync(uint32_t mask, uint32_t value,
                                  Location at = Location::current()) {
  return reduce_warp(Reduce::min_unsigned, mask, value, at);
}
inline int __reduce_min_sync(uint32_t mask, int value, Location at = Location::current()) {
  const auto bits = static_cast<uint32_t>(value);
  return static_cast<int>(reduce_warp(Reduce::min_signed, mask, bits, at));
}
inline uint32_t __reduce_max_sync(uint32_t mask, uint32_t value,
                                  Location at = Location::current()) {
  return reduce_warp(Reduce::max_unsigned, mask, value, at);
}
inline int __reduce_max_sync(uint32_t mask, int value, Location at = Location::current()) {
  const auto bits = static_cast<uint32_t>(value);
  return static_cast<int>(reduce_warp(Reduce::max_signed, mask, bits, at));
}
inline uint32_t __reduce_and_sync(uint32_t mask, uint32_t value,
                                  Location at = Location::current()) {
  return reduce_warp(Reduce::bit_and, mask, value, at);
}
inline uint32_t __reduce_or_sync(uint32_t mask, uint32_t value, Location at = Location::current()) {
  return reduce_warp(Reduce::bit_or, mask, value, at);
}
inline uint32_t __reduce_xor_sync(uint32_t mask, uint32_t value,
                                  Location at = Location::current()) {
  return reduce_warp(Reduce::bit_xor, mask, value, at);
}

}  // namespace language
}  // namespace passband::emulator
