// Raw memory as each backend handles it, one signature per backend; ON_DEVICE picks. Storage and
// Tensor stand on it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tensor/core/storage.h"

namespace passband {

namespace cpu {
std::byte* allocate(int64_t bytes, Device device);
void release(std::byte* block, int64_t bytes, Device device);
MemoryStatistics statistics(Device device);
void fill_fresh(bool on, Device device);
void release_cached(Device device);
void clear_bytes(void* memory, int64_t bytes);
// `count` elements of `width` bytes (1, 2, 4 or 8) each become the low bytes of `pattern`.
void fill_elements(void* memory, uint64_t pattern, int64_t width, int64_t count);
void copy_bytes(void* destination, Device to, const void* source, Device from, int64_t bytes);
}  // namespace cpu

namespace cuda {
std::byte* allocate(int64_t bytes, Device device);
void release(std::byte* block, int64_t bytes, Device device);
MemoryStatistics statistics(Device device);
void fill_fresh(bool on, Device device);
void release_cached(Device device);
void clear_bytes(void* memory, int64_t bytes);
void fill_elements(void* memory, uint64_t pattern, int64_t width, int64_t count);
// Either side may be the host; a copy to the host waits for the device.
void copy_bytes(void* destination, Device to, const void* source, Device from, int64_t bytes);
}  // namespace cuda

}  // namespace passband
