// One thread count for everything on the CPU, and the loop that uses it.
#pragma once
#include <algorithm>
#include <cstdint>

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

// What a loop does for begin <= i < end, whatever the type of its body.
struct LoopPiece {
  void (*call)(const void* body, int64_t begin, int64_t end);
  const void* body;

  void operator()(int64_t begin, int64_t end) const { call(body, begin, end); }
};
void split_loop(int64_t n, int64_t grain, int64_t threads, LoopPiece piece);

// Calls body(begin, end) for pieces that cover [0, n), none smaller than `grain` unless it is the
// only one, on up to `threads` threads. A thread takes a piece when it has done the one before: one
// that shares its core with another program holds up nobody. Pieces of long loops start at
// multiples of 64. The pieces depend on the thread count, so `body` must give each index the same
// result wherever it falls. Throws what one of the calls threw; the others end first.
//
// All calls go through one pointer, so that a body is compiled once: of two copies of it, the
// compiler may well round a * b in one and not in the other, and the bits would depend on which of
// them got the work.
template <class Body>
void parallel_for(int64_t n, int64_t grain, const Body& body, int64_t threads = thread_count()) {
  split_loop(n, grain, threads,
             {[](const void* body_of, int64_t begin, int64_t end) {
                (*static_cast<const Body*>(body_of))(begin, end);
              },
              &body});
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
