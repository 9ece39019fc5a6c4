// Threads that stay, for the loops of all callers.
#pragma once

namespace passband {

// What every thread calls.
struct ThreadWork {
  void (*call)(void*);
  void* argument;

  void operator()() const { call(argument); }
};

// Calls `work` on the calling thread and, as far as they are free, on up to `threads - 1` others at
// once; returns when all calls have, and throws what one of them threw. Any thread may call this at
// any time, but from within `work` it calls `work` once. A thread that has nothing to do looks for
// work for some microseconds, then sleeps: it takes next to nothing from other programs.
void on_threads(int threads, ThreadWork work);

// Whether the calling thread is within `on_threads`.
bool on_thread_of_pool();

}  // namespace passband
