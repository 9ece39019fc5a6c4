// A library to be loaded before a program (LD_PRELOAD): from main() on, the allocation number
// PASSBAND_FAILING_ALLOCATION (from 1) of the program finds no memory; how many there were is
// written to the file PASSBAND_COUNTED_ALLOCATIONS. Those of oneDNN do not count: it reads through
// the null pointers that it gets; nor those of path::operator/= of GCC 12's library, which then
// frees what it does not own.
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<long> count{0};
long failing = 0;
thread_local bool joins_paths = false;

bool fails(const void* caller) {
  Dl_info library;
  if (!counting || joins_paths ||
      (dladdr(caller, &library) != 0 && std::strstr(library.dli_fname, "dnnl")))
    return false;
  return ++count == failing;
}

void* allocate(std::size_t bytes, std::size_t alignment, const void* caller) {
  void* block = nullptr;
  if (fails(caller)) return nullptr;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(bytes == 0 ? 1 : bytes);
  using Function = int (*)(void**, std::size_t, std::size_t);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "posix_memalign"));
  return next(&block, alignment, bytes) == 0 ? block : nullptr;
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment, const void* caller) {
  if (void* const block = allocate(bytes, alignment, caller)) return block;
  throw std::bad_alloc();
}

using Main = int (*)(int, char**, char**);
Main real_main = nullptr;

int counted_main(int argc, char** argv, char** environment) {
  const char* const number = std::getenv("PASSBAND_FAILING_ALLOCATION");
  failing = number ? std::atol(number) : 0;
  counting = true;
  const int code = real_main(argc, argv, environment);
  counting = false;
  if (const char* const path = std::getenv("PASSBAND_COUNTED_ALLOCATIONS"))
    if (std::FILE* const file = std::fopen(path, "w")) {
      std::fprintf(file, "%ld\n", count.load());
      std::fclose(file);
    }
  return code;
}

}  // namespace

constexpr std::size_t kUsual = alignof(std::max_align_t);

void* operator new(std::size_t bytes) {
  return allocate_or_throw(bytes, kUsual, __builtin_return_address(0));
}
void* operator new[](std::size_t bytes) {
  return allocate_or_throw(bytes, kUsual, __builtin_return_address(0));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, kUsual, __builtin_return_address(0));
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, kUsual, __builtin_return_address(0));
}

extern "C" {

// std::filesystem::path::operator/=(const path&)
void* _ZNSt10filesystem7__cxx114pathdVERKS1_(void* path, const void* other) {
  using Join = void* (*)(void*, const void*);
  static const auto next =
      reinterpret_cast<Join>(dlsym(RTLD_NEXT, "_ZNSt10filesystem7__cxx114pathdVERKS1_"));
  joins_paths = true;
  void* const joined = next(path, other);
  joins_paths = false;
  return joined;
}

int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  *block = allocate(bytes, alignment, __builtin_return_address(0));
  return *block ? 0 : ENOMEM;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return allocate(bytes, alignment, __builtin_return_address(0));
}

int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*end)(), void* stack) {
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  real_main = main;
  const auto next = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return next(counted_main, argc, argv, init, fini, end, stack);
}
}
