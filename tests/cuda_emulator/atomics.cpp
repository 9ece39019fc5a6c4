// Atomic operations. One thread of the operating system runs all of a grid, so plain arithmetic is
// atomic here.
#include <algorithm>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

template <class T> void check_atomic(const T* address, const Location& at) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T))
    fail_at(concat_text("misaligned atomic operation on ", sizeof(T), " bytes"), text_of(at));
  if (checker) checker->access(address, sizeof(T), Access::atomic, at);
}

template <class T> T combined(Atomic kind, T old, T value) {
  switch (kind) {
    case Atomic::add: return old + value;
    case Atomic::exchange: return value;
    case Atomic::minimum: return std::min(old, value);
    case Atomic::maximum: return std::max(old, value);
    case Atomic::increment: return old >= value ? T{0} : old + T{1};
    default: break;
  }
  if constexpr (std::is_integral_v<T>) {
    if (kind == Atomic::bit_and) return old & value;
    if (kind == Atomic::bit_or) return old | value;
    if (kind == Atomic::bit_xor) return old ^ value;
  }
  return old;
}

}  // namespace

template <class T> T atomic(Atomic kind, T* address, T value, Location at) {
  const Inside inside(at);
  check_atomic(address, at);
  const T old = *address;
  *address = combined(kind, old, value);
  return old;
}

template <class T> T compare_and_swap(T* address, T expected, T value, Location at) {
  const Inside inside(at);
  check_atomic(address, at);
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

template int atomic(Atomic, int*, int, Location);
template unsigned atomic(Atomic, unsigned*, unsigned, Location);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long, Location);
template float atomic(Atomic, float*, float, Location);
template double atomic(Atomic, double*, double, Location);
template int compare_and_swap(int*, int, int, Location);
template unsigned compare_and_swap(unsigned*, unsigned, unsigned, Location);
template unsigned long long compare_and_swap(unsigned long long*, unsigned long long,
                                             unsigned long long, Location);

}  // namespace passband::emulator
