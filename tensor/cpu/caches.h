// The caches of this machine, as kernels cut their blocks by them.
#pragma once
#include <cstdint>

namespace passband::cpu {

// Bytes of a core's second level of cache: what the system tells when the program starts, within
// 256 KiB and 4 MiB; 512 KiB where it tells nothing. Kernels cut only what has no part in the order
// of sums by it, so every bit is the same whatever its size.
int64_t second_level_cache();

// Another size from now on, to test and to measure; 0: this machine's.
void set_second_level_cache(int64_t bytes);

}  // namespace passband::cpu
