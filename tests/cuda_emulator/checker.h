// The interface between the compiler's callbacks and the memory checker.
#pragma once
#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

// An access by kernel code; `code` is the address after the instruction.
void check_access(const void* memory, size_t bytes, Access kind, const void* code);

}  // namespace passband::emulator
