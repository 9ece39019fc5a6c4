// One thread count for everything on the CPU, and the loop that uses it.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tensor/core/thread_pool.h"

namespace passband {

// Threads that CPU kernels use, oneDNN's included; at first the number of physical cores this
// process may run on, or that its container's quota amounts to.
int thread_count();
// Throws when `count` is below 1.
void set_thread_count(int count);

// While one is alive, even the shortest loops are split among all threads: for tests of what
// threads may change.
class SplitShortLoops {
 public:
  SplitShortLoops();
  ~SplitShortLoops();
  SplitShortLoops(const SplitShortLoops&) = delete;
  SplitShortLoops& operator=(const SplitShortLoops&) = delete;
};
bool splits_short_loops();

// Elements below which starting threads costs more than it saves.
constexpr int64_t kGrain = 32768;

// The one place where a body is compiled: of two copies of it, the compiler may well round a * b in
// one and not in the other, and the bits would depend on which of them got the work.
#if defined(__clang__)
#define PASSBAND_ONE_COPY [[gnu::noinline]]
#else
#define PASSBAND_ONE_COPY [[gnu::noipa]]
#endif
template <class Body> PASSBAND_ONE_COPY void run_piece(Body& body, int64_t begin, int64_t end) {
  body(begin, end);
}
#undef PASSBAND_ONE_COPY

// Calls body(begin, end) for pieces that cover [0, n), none smaller than `grain` unless it is the
// only one, on up to `threads` threads. A thread takes a piece when it has done the one before: one
// that shares its core with another program holds up nobody. Pieces of long loops start at
// multiples of 64. The pieces depend on the thread count, so `body` must give each index the same
// result wherever it falls. Throws what one of the calls threw; the others end first.
template <class Body>
void parallel_for(int64_t n, int64_t grain, Body&& body, int64_t threads = thread_count()) {
  constexpr int64_t kPiecesEach = 4;
  const int64_t least = splits_short_loops() ? 1 : std::max<int64_t>(grain, 1);
  const int64_t pieces = std::min(kPiecesEach * threads, n / least);
  if (pieces <= 1 || threads <= 1 || on_thread_of_pool()) {
    if (n > 0) run_piece(body, 0, n);
    return;
  }
  const int64_t unit = n >= 4096 * pieces ? 64 : 1, units = (n + unit - 1) / unit;
  std::atomic<int64_t> next{0};
  auto take_pieces = [&] {
    for (int64_t i = next++; i < pieces; i = next++) {
      const int64_t begin = units * i / pieces * unit;
      const int64_t end = std::min(n, units * (i + 1) / pieces * unit);
      if (begin < end) run_piece(body, begin, end);
    }
  };
  on_threads(
      static_cast<int>(std::min(threads, pieces)),
      {[](void* pieces_of) { (*static_cast<decltype(take_pieces)*>(pieces_of))(); }, &take_pieces});
}

// Calls f(i) for all i < count, each long enough to be worth a thread.
template <class F>
void for_each_index(int64_t count, const F& f, int64_t threads = thread_count()) {
  const auto calls = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  };
  parallel_for(count, 1, calls, threads);
}

// Grain for loops whose steps each touch `elements` elements.
inline int64_t grain_for(int64_t elements) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(elements, 1));
}

}  // namespace passband
