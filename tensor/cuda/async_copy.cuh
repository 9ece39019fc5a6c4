// cp.async: copies from device to shared memory that proceed while the thread goes on (sm_80 and
// later).
//
//     async_copy<16>(&tile[row][column], &x[i], i < n);   // zeros where the condition fails
//     async_copy_commit();                                // these copies form a group
//     async_copy_wait<1>();                               // all my groups but the last arrived
//     __syncthreads();                                    // and so have everybody else's
//
// Both addresses are multiples of the size. The source is not read where `valid` is false, but must
// be an address.
#pragma once
#include "tensor/cuda/launch.cuh"

namespace passband::cuda {

#if defined(__CUDACC__)

// A place in shared memory that can be counted on from in bytes: 32 bits instead of 64, and no
// instructions that make one of the other.
using SharedAddress = uint32_t;
__device__ __forceinline__ SharedAddress shared_address(const void* shared) {
  return static_cast<SharedAddress>(__cvta_generic_to_shared(shared));
}
template <class T> __device__ __forceinline__ T* shared_pointer(SharedAddress at) {
  return static_cast<T*>(__cvta_shared_to_generic(at));
}

template <int bytes> __device__ __forceinline__ void async_copy(SharedAddress destination,
                                                                const void* global,
                                                                bool valid = true) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async moves 4, 8 or 16 bytes");
  const int read = valid ? bytes : 0;
  // 16 bytes go past the first-level cache: a tile is read once.
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(destination), "l"(global),
                 "r"(read)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(destination), "l"(global),
                 "n"(bytes), "r"(read)
                 : "memory");
}

template <int bytes>
__device__ __forceinline__ void async_copy(void* shared, const void* global, bool valid = true) {
  async_copy<bytes>(shared_address(shared), global, valid);
}

__device__ __forceinline__ void async_copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int groups_left> __device__ __forceinline__ void async_copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups_left) : "memory");
}

#else

using SharedAddress = unsigned char*;
inline SharedAddress shared_address(void* shared) { return static_cast<SharedAddress>(shared); }
template <class T> T* shared_pointer(SharedAddress at) { return reinterpret_cast<T*>(at); }

template <int bytes> void async_copy(void* shared, const void* global, bool valid = true,
                                     std::source_location at = std::source_location::current()) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async moves 4, 8 or 16 bytes");
  emulator::async_copy(shared, global, bytes, valid ? bytes : 0, at);
}

inline void async_copy_commit() { emulator::async_copy_commit(); }

template <int groups_left>
void async_copy_wait(std::source_location at = std::source_location::current()) {
  emulator::async_copy_wait(groups_left, at);
}

#endif

}  // namespace passband::cuda
