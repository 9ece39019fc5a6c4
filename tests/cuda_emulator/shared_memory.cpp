// Shared memory of the running block: variables in the order of their first use, margins between
// them, poisoned anew for every block.
#include <sys/mman.h>

#include <algorithm>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

constexpr size_t kMargin = 64;
constexpr size_t kStaticLimit = 48 * 1024;  // what declarations may take; the rest is dynamic only

constexpr const char* kDynamicName = "dynamic shared memory";

struct Variable {
  char* memory;
  size_t bytes;
  const char* name;
};

struct SharedMemory {
  char* memory = nullptr;
  size_t used = 0;  // by the running block, margins included
  size_t static_bytes = 0, dynamic_bytes = 0;
  uint64_t block = ~uint64_t{0};
  std::vector<Variable> variables;
  SharedSlot dynamic;
} shared;

void begin_block_if_new() {
  if (!shared.memory) {
    void* memory =
        mmap(nullptr, kSharedSpan, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw OutOfMemory("cuda emulator: no memory for shared memory");
    shared.memory = static_cast<char*>(memory);
  }
  if (shared.block == machine.block_number) return;
  shared.block = machine.block_number;
  shared.used = shared.static_bytes = shared.dynamic_bytes = 0;
  shared.variables.clear();
  poison_memory(shared.memory, kSharedSpan);
}

char* add_variable(size_t bytes, size_t alignment, const char* name) {
  begin_block_if_new();
  const size_t offset = (shared.used + kMargin + alignment - 1) / alignment * alignment;
  (name == kDynamicName ? shared.dynamic_bytes : shared.static_bytes) += bytes;
  const size_t total = shared.static_bytes + shared.dynamic_bytes;
  if (shared.static_bytes > kStaticLimit)
    fail(concat_text("static shared memory is exhausted by '", name, "': ", shared.static_bytes,
                     " of ", kStaticLimit, " bytes; use DYNAMIC_SHARED"));
  if (total > options().shared_limit || offset + bytes + kMargin > kSharedSpan)
    fail(concat_text("shared memory is exhausted by '", name, "': ", total, " of ",
                     options().shared_limit, " bytes"));
  char* memory = shared.memory + offset;
  unpoison_memory(memory - kMargin, bytes + 2 * kMargin);
  memset(memory - kMargin, kPoison, bytes + 2 * kMargin);
  poison_memory(memory - kMargin, kMargin);
  poison_memory(memory + bytes, kMargin);
  shared.used = offset + bytes;
  shared.variables.push_back({memory, bytes, name});
  if (checker) checker->shared_variable(memory, bytes);
  return memory;
}

#if !defined(__SANITIZE_ADDRESS__)
bool untouched(const char* margin) {
  return static_cast<unsigned char>(*margin) == kPoison && !memcmp(margin, margin + 1, kMargin - 1);
}
#endif

}  // namespace

char* shared_begin() { return shared.memory; }

bool is_shared(const void* address) {
  const auto* p = static_cast<const char*>(address);
  return shared.memory && p >= shared.memory && p < shared.memory + kSharedSpan;
}

void check_shared_variables() {
#if !defined(__SANITIZE_ADDRESS__)  // which watches the margins itself, and forbids to read them
  if (shared.block != machine.block_number) return;
  for (const Variable& variable : shared.variables) {
    if (!untouched(variable.memory - kMargin))
      return note_fault(concat_text("write before the shared variable '", variable.name,
                                    "' in block ", text_of(blockIdx)));
    if (!untouched(variable.memory + variable.bytes))
      return note_fault(concat_text("write past the end of the shared variable '", variable.name,
                                    "' of ", variable.bytes, " bytes in block ",
                                    text_of(blockIdx)));
  }
#endif
}

void* shared_variable(SharedSlot& slot, size_t bytes, size_t alignment, const char* name) {
  if (slot.block == machine.block_number) return slot.memory;
  const Inside inside;
  slot.memory = add_variable(bytes, std::max<size_t>(alignment, 16), name);
  slot.block = machine.block_number;
  return slot.memory;
}

void* dynamic_shared() {
  if (shared.dynamic.block != machine.block_number && machine.dynamic_bytes == 0)
    fail("dynamic shared memory is used, but the launch asks for none");
  return shared_variable(shared.dynamic, machine.dynamic_bytes, 1024, kDynamicName);
}

}  // namespace passband::emulator
