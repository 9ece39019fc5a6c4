// Tensor cores: products of small matrices held in the registers of a warp (sm_80 and later). All
// 32 lanes call.
//
// Fragment layouts (PTX ISA), with g = lane / 4 and t = lane % 4; a pair of bf16 has the lower
// column in the low half:
//   bf16, a (16, 16): a[0] = row g, columns 2t, 2t+1;  a[1] = row g+8;
//                     a[2], a[3] = the same, columns + 8
//         b (16, 8):  b[0] = rows 2t, 2t+1 of column g;  b[1] = rows + 8
//   tf32, a (16, 8):  a[0] = (g, t);  a[1] = (g+8, t);  a[2] = (g, t+4);  a[3] = (g+8, t+4)
//         b (8, 8):   b[0] = (t, g);  b[1] = (t+4, g)
//   both, d (16, 8):  d[0], d[1] = row g, columns 2t, 2t+1;  d[2], d[3] = row g+8
#pragma once
#include <bit>

#include "tensor/cuda/launch.cuh"

namespace passband::cuda {

// Two neighbouring bf16 as one register of a fragment.
__host__ __device__ inline uint32_t bf16_pair(bf16 low, bf16 high) {
  return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
}

// f32 rounded to tf32 (10 bits of mantissa, ties away from zero), as the bits of a fragment.
__host__ __device__ inline uint32_t tf32_bits(float value) {
#if defined(__CUDA_ARCH__)
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
#else
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
#endif
}

#if defined(__CUDACC__)

// d += a b, bf16 products, f32 accumulation.
__device__ __forceinline__ void mma_bf16_16x8x16(float (&d)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d += a b, tf32 products, f32 accumulation.
__device__ __forceinline__ void mma_tf32_16x8x8(float (&d)[4], const uint32_t (&a)[4],
                                                const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// ldmatrix: 8x8 matrices of 16-bit elements from shared memory. Lanes 8i to 8i+7 give the addresses
// of the rows of matrix i (16 bytes each, 16-byte aligned); each lane receives the pair at row g,
// columns 2t, 2t+1 of every matrix; transposed, the pair at rows 2t, 2t+1 of column g.
__device__ __forceinline__ void load_matrix_x4(uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

#else

inline void mma_bf16_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             std::source_location at = std::source_location::current()) {
  emulator::mma_bf16_16x8x16(d, a, b, at);
}
inline void mma_tf32_16x8x8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                            std::source_location at = std::source_location::current()) {
  emulator::mma_tf32_16x8x8(d, a, b, at);
}
inline void load_matrix_x4(uint32_t (&r)[4], const void* row,
                           std::source_location at = std::source_location::current()) {
  emulator::load_matrix(r, 4, false, row, at);
}
inline void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row,
                                      std::source_location at = std::source_location::current()) {
  emulator::load_matrix(r, 4, true, row, at);
}

#endif

}  // namespace passband::cuda
