// The context switch: twelve instructions on x86-64, ucontext elsewhere (15 times slower: a system
// call per switch).
#include "tests/cuda_emulator/fiber.h"

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace passband::emulator {

#if defined(__x86_64__)

extern "C" void passband_switch_stack(void** save, void* load);

// Saves the registers that a function must preserve. The jump replaces `ret`, whose target the
// processor would mispredict each time: its return stack still follows the old fiber.
asm(R"(
.text
.type passband_switch_stack,@function
.globl passband_switch_stack
passband_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size passband_switch_stack,.-passband_switch_stack
)");

[[maybe_unused]] static void switch_context(Fiber& from, Fiber& to) {
  passband_switch_stack(&from.stack_pointer, to.stack_pointer);
}

void prepare_fiber(Fiber& fiber, void (*entry)()) {
  auto* top = reinterpret_cast<uintptr_t*>(fiber.stack + fiber.stack_bytes);
  *--top = 0;  // keeps the stack aligned as after a call, and ends a debugger's walk
  *--top = reinterpret_cast<uintptr_t>(entry);
  for (int saved_register = 0; saved_register < 6; ++saved_register) *--top = 0;
  fiber.stack_pointer = top;
}

#else

static ucontext_t& context_of(Fiber& fiber) {
  // as many as fibers, kept for good
  if (!fiber.stack_pointer) fiber.stack_pointer = new ucontext_t;
  return *static_cast<ucontext_t*>(fiber.stack_pointer);
}

static void switch_context(Fiber& from, Fiber& to) {
  swapcontext(&context_of(from), &context_of(to));
}

void prepare_fiber(Fiber& fiber, void (*entry)()) {
  ucontext_t& context = context_of(fiber);
  getcontext(&context);
  context.uc_stack.ss_sp = fiber.stack;
  context.uc_stack.ss_size = fiber.stack_bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}

#endif

#if defined(__SANITIZE_ADDRESS__)

void switch_fiber(Fiber& from, Fiber& to) {
  // A null first argument would free the fake stack of a fiber that is still alive
  // (google/sanitizers issue 1760).
  __sanitizer_start_switch_fiber(&from.sanitizer_stack, to.stack, to.stack_bytes);
  switch_context(from, to);
  __sanitizer_finish_switch_fiber(from.sanitizer_stack, nullptr, nullptr);
}

void fiber_started(Fiber& starter) {
  const void* stack = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
  if (starter.stack) return;
  starter.stack = static_cast<char*>(const_cast<void*>(stack));
  starter.stack_bytes = bytes;
}

void poison_memory(const void* address, size_t bytes) {
  __asan_poison_memory_region(address, bytes);
}
void unpoison_memory(const void* address, size_t bytes) {
  __asan_unpoison_memory_region(address, bytes);
}

#else

#if !defined(__x86_64__)
void switch_fiber(Fiber& from, Fiber& to) { switch_context(from, to); }
#endif
void fiber_started(Fiber&) {}
void poison_memory(const void*, size_t) {}
void unpoison_memory(const void*, size_t) {}

#endif

}  // namespace passband::emulator
