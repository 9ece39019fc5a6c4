// Fibers: stacks that a thread of the operating system switches between, known to AddressSanitizer.
#pragma once
#include <cstddef>

namespace passband::emulator {

struct Fiber {
  void* stack_pointer = nullptr;  // where it stands while another fiber runs
  char* stack = nullptr;          // lowest address
  size_t stack_bytes = 0;
  void* sanitizer_stack = nullptr;
};

// Makes `fiber` start in `entry` the next time it is switched to. `entry` must never return.
void prepare_fiber(Fiber& fiber, void (*entry)());

// Stands still in `from` until something switches back to it.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
extern "C" void passband_switch_stack(void** save, void* load);
// Inline, as are its callers where they can be: after a switch the processor mispredicts every
// return.
inline void switch_fiber(Fiber& from, Fiber& to) {
  passband_switch_stack(&from.stack_pointer, to.stack_pointer);
}
#else
void switch_fiber(Fiber& from, Fiber& to);
#endif

// To be called first in an entry function. Returns the bounds of the stack it was started from,
// where known.
void fiber_started(Fiber& starter);

// Tells AddressSanitizer that memory must not, or may again, be touched. Nothing in other builds.
void poison_memory(const void* address, size_t bytes);
void unpoison_memory(const void* address, size_t bytes);

}  // namespace passband::emulator
