// Products by a warp group (wgmma; compute capability 9.0 alone): 64 rows times 64 or 128 columns,
// 16 of k deep, bf16 with sums in f32, by the 128 threads of four warps. Both operands lie in
// shared memory, and the threads go on while it works.
//
//     fence_async_proxy();   // what I have copied may be read by such products
//     __syncthreads();       // ... and so may what everybody else has
//     warpgroup_begin();
//     warpgroup_multiply_add<side_a, side_b>(d, a, b);  // d += a b; as many as are wanted
//     warpgroup_commit();    // these form a group
//     warpgroup_wait<1>();   // all groups but the last are done: their sums and operands are free
//
// d: warp w of the four has rows 16 w to 16 w + 15, as an mma's d (mma.cuh): d[j] are columns 8 j
// to 8 j + 7. An operand is what SwizzledStage::operand says of it (warpgroup_product.cuh); side_a:
// its rows, not k, run along its lines.
#pragma once
#include "tensor/cuda/async_copy.cuh"

namespace passband::cuda {

#if defined(__CUDACC__)

// Code that only sm_90a has; a kernel of such products is empty for any other architecture, and is
// never launched there.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PASSBAND_SUMS(j)                                                          \
  "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3]), "+f"(d[j + 1][0]),  \
      "+f"(d[j + 1][1]), "+f"(d[j + 1][2]), "+f"(d[j + 1][3]), "+f"(d[j + 2][0]), \
      "+f"(d[j + 2][1]), "+f"(d[j + 2][2]), "+f"(d[j + 2][3]), "+f"(d[j + 3][0]), \
      "+f"(d[j + 3][1]), "+f"(d[j + 3][2]), "+f"(d[j + 3][3])

template <bool side_a, bool side_b>
__device__ __forceinline__ void warpgroup_multiply_add(float (&d)[8][4], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, 1, 1, 1, %34, %35;"
      : PASSBAND_SUMS(0), PASSBAND_SUMS(4)
      : "l"(a), "l"(b), "n"(int{side_a}), "n"(int{side_b}));
}
template <bool side_a, bool side_b>
__device__ __forceinline__ void warpgroup_multiply_add(float (&d)[16][4], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
      "%64, %65, 1, 1, 1, %66, %67;"
      : PASSBAND_SUMS(0), PASSBAND_SUMS(4), PASSBAND_SUMS(8), PASSBAND_SUMS(12)
      : "l"(a), "l"(b), "n"(int{side_a}), "n"(int{side_b}));
}
#undef PASSBAND_SUMS

__device__ __forceinline__ void warpgroup_begin() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void warpgroup_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int groups_left> __device__ __forceinline__ void warpgroup_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups_left) : "memory");
}
__device__ __forceinline__ void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
#define PASSBAND_HAS_WARPGROUPS 1
#endif

// Bits 0 to 13 of an operand: where it begins, in 16 bytes.
__device__ __forceinline__ uint64_t operand_address(SharedAddress at) {
  return (at & 0x3ffffu) >> 4;
}

#else

#define PASSBAND_HAS_WARPGROUPS 1
inline uint64_t operand_address(SharedAddress at) {
  return (emulator::shared_offset(at) & 0x3ffffu) >> 4;
}
template <bool side_a, bool side_b, int n>
void warpgroup_multiply_add(float (&d)[n][4], uint64_t a, uint64_t b,
                            std::source_location at = std::source_location::current()) {
  emulator::warpgroup_multiply_add(
      {.d = &d[0][0], .columns = 8 * n, .a = a, .b = b, .side_a = side_a, .side_b = side_b}, at);
}
inline void warpgroup_begin() { emulator::warpgroup_begin(); }
inline void warpgroup_commit() { emulator::warpgroup_commit(); }
template <int groups_left>
void warpgroup_wait(std::source_location at = std::source_location::current()) {
  emulator::warpgroup_wait(groups_left, at);
}
inline void fence_async_proxy() { emulator::fence_async_proxy(); }

#endif

}  // namespace passband::cuda
