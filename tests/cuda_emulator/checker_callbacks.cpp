// What GCC calls from code compiled with -fsanitize=thread and -fsanitize=alignment,bounds,...:
// each memory access, and each operation whose result C++ leaves undefined. The sanitizers' own
// libraries are not linked; these names are the interface of theirs
// (libsanitizer/tsan/tsan_interface.h, libsanitizer/ubsan/ubsan_handlers.h).
#include <cstdio>
#include <cstdlib>

#include "tests/cuda_emulator/checker.h"

using passband::concat_text;
using passband::emulator::Access;
using passband::emulator::check_access;
using passband::emulator::machine;

#define CHECKED_ACCESS(name, bytes, kind)                            \
  void __tsan_##name(void* address) {                                \
    check_access(address, bytes, kind, __builtin_return_address(0)); \
  }
#define CHECKED_ACCESSES(bytes)                                \
  CHECKED_ACCESS(read##bytes, bytes, Access::read)             \
  CHECKED_ACCESS(write##bytes, bytes, Access::write)           \
  CHECKED_ACCESS(unaligned_read##bytes, bytes, Access::read)   \
  CHECKED_ACCESS(unaligned_write##bytes, bytes, Access::write) \
  CHECKED_ACCESS(volatile_read##bytes, bytes, Access::read)    \
  CHECKED_ACCESS(volatile_write##bytes, bytes, Access::write)

extern "C" {

CHECKED_ACCESSES(1)
CHECKED_ACCESSES(2)
CHECKED_ACCESSES(4)
CHECKED_ACCESSES(8)
CHECKED_ACCESSES(16)

void __tsan_read_range(void* address, size_t bytes) {
  check_access(address, bytes, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
  check_access(address, bytes, Access::write, __builtin_return_address(0));
}
// Atomic operations of C++, which only host code uses: reference counts and the like.
#define HOST_ATOMICS(bits)                                                      \
  using Word##bits = uint##bits##_t;                                            \
  Word##bits __tsan_atomic##bits##_load(const volatile Word##bits* p, int) {    \
    return __atomic_load_n(p, 5);                                               \
  }                                                                             \
  void __tsan_atomic##bits##_store(volatile Word##bits* p, Word##bits v, int) { \
    __atomic_store_n(p, v, 5);                                                  \
  }                                                                             \
  HOST_ATOMIC(bits, exchange, __atomic_exchange_n)                              \
  HOST_ATOMIC(bits, fetch_add, __atomic_fetch_add)                              \
  HOST_ATOMIC(bits, fetch_sub, __atomic_fetch_sub)                              \
  HOST_ATOMIC(bits, fetch_and, __atomic_fetch_and)                              \
  HOST_ATOMIC(bits, fetch_or, __atomic_fetch_or)                                \
  HOST_ATOMIC(bits, fetch_xor, __atomic_fetch_xor)                              \
  HOST_COMPARE(bits, strong)                                                    \
  HOST_COMPARE(bits, weak)
#define HOST_ATOMIC(bits, name, builtin)                                               \
  Word##bits __tsan_atomic##bits##_##name(volatile Word##bits* p, Word##bits v, int) { \
    return builtin(p, v, __ATOMIC_SEQ_CST);                                            \
  }
#define HOST_COMPARE(bits, strength)                                                               \
  int __tsan_atomic##bits##_compare_exchange_##strength(                                           \
      volatile Word##bits* p, Word##bits* expected, Word##bits v, int, int) {                      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }
HOST_ATOMICS(8)
HOST_ATOMICS(16)
HOST_ATOMICS(32)
HOST_ATOMICS(64)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

}  // extern "C"

namespace {

// The part that all of the compiler's descriptions of undefined behaviour begin with.
struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

[[noreturn]] void report_undefined(std::string what, const void* description) {
  const auto& at = *static_cast<const SourceLocation*>(description);
  const char* slash = strrchr(at.file, '/');
  const char* file = slash ? slash + 1 : at.file;
  if (machine.running && !machine.inside)
    passband::emulator::fail_at(std::move(what), concat_text(file, ":", at.line));
  fprintf(stderr, "cuda emulator: host code: %s, at %s:%u\n", what.c_str(), file, at.line);
  abort();
}

}  // namespace

#define UNDEFINED(name, text, ...)                               \
  void __ubsan_handle_##name(void* description, ##__VA_ARGS__) { \
    report_undefined(text, description);                         \
  }

extern "C" {

struct TypeMismatch {
  SourceLocation at;
  void* type;
  unsigned char log_alignment, kind;
};

void __ubsan_handle_type_mismatch_v1(TypeMismatch* description, uintptr_t address) {
  const size_t alignment = size_t{1} << description->log_alignment;
  if (address == 0) report_undefined("use of a null pointer", description);
  if (address % alignment == 0)
    report_undefined("access to an object of insufficient size", description);
  report_undefined(
      concat_text("misaligned access: the type needs a multiple of ", alignment, " bytes"),
      description);
}

UNDEFINED(out_of_bounds, "index outside the array", void*)
UNDEFINED(shift_out_of_bounds, "shift by a negative or too large number of bits", void*, void*)
UNDEFINED(add_overflow, "signed integer overflow in an addition", void*, void*)
UNDEFINED(sub_overflow, "signed integer overflow in a subtraction", void*, void*)
UNDEFINED(mul_overflow, "signed integer overflow in a multiplication", void*, void*)
UNDEFINED(negate_overflow, "signed integer overflow in a negation", void*)
UNDEFINED(divrem_overflow, "division by zero, or its overflow", void*, void*)

}  // extern "C"
