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
void switch_fiber(Fiber& from, Fiber& to);

// To be called first in an entry function. Returns the bounds of the stack it was started from, where known.
void fiber_started(Fiber& starter);

// Tells AddressSanitizer that memory must not, or may again, be touched. Nothing in other builds.
void poison_memory(const void* address, size_t bytes);
void unpoison_memory(const void* address, size_t bytes);

}  // namespace passband::emulator
