// The functions of the emulator that the CUDA names of emulator.h, and the wrappers in
// tensor/cuda/*.cuh, call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <tuple>
#include <type_traits>

#include "tests/cuda_emulator/vector_types.h"

namespace passband::emulator {

using Location = std::source_location;

// A kernel with its arguments, copied when it is launched, as a GPU does.
struct KernelCall {
  virtual ~KernelCall() = default;
  virtual void run() const = 0;  // executes one thread
  const void* kernel = nullptr;
  size_t bytes = 0;  // of this object
};

template <class... Params> struct BoundCall final : KernelCall {
  void (*function)(Params...);
  std::tuple<Params...> arguments;

  BoundCall(void (*kernel_function)(Params...), Params... args)
      : function(kernel_function), arguments(args...) {
    static_assert((std::is_trivially_copyable_v<Params> && ...),
                  "kernel arguments are copied bytewise");
    static_assert((sizeof(Params) + ... + 0) <= 4096,
                  "a kernel takes at most 4096 bytes of arguments");
    kernel = reinterpret_cast<const void*>(kernel_function);
    bytes = sizeof(*this);
  }
  void run() const override { std::apply(function, arguments); }
};

// Puts a kernel on a stream. Throws Fault for a launch no GPU would accept.
void enqueue_kernel(std::shared_ptr<const KernelCall> call, dim3 grid, dim3 block,
                    size_t shared_bytes, void* stream, Location site);

// One per SHARED declaration: where the variable lies in the shared memory of the running block.
struct SharedSlot {
  uint64_t block = ~uint64_t{0};
  void* memory = nullptr;
};
void* shared_variable(SharedSlot& slot, size_t bytes, size_t alignment, const char* name);
void* dynamic_shared();

enum class Barrier : uint8_t { plain, count, all, any };
int barrier(Barrier kind, int predicate, Location at);
void sync_warp(uint32_t mask, Location at);
void fence();

enum class Shuffle : uint8_t { index, exclusive_or, up, down };
uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t bits, int operand, int width, Location at);
uint32_t ballot(uint32_t mask, bool predicate, const char* name, Location at);
uint32_t match(uint32_t mask, uint64_t bits, Location at);
enum class Reduce : uint8_t {
  add,
  min_signed,
  max_signed,
  min_unsigned,
  max_unsigned,
  bit_and,
  bit_or,
  bit_xor
};
uint32_t reduce_warp(Reduce kind, uint32_t mask, uint32_t bits, Location at);
uint32_t own_lane_mask();

enum class Atomic : uint8_t {
  add,
  exchange,
  minimum,
  maximum,
  bit_and,
  bit_or,
  bit_xor,
  increment
};
template <class T> T atomic(Atomic kind, T* address, T value, Location at);
template <class T> T compare_and_swap(T* address, T expected, T value, Location at);

// Tensor-core fragments, laid out as the PTX ISA says (mma.cuh wraps these).
void mma_bf16_16x8x16(float* d, const uint32_t* a, const uint32_t* b, Location at);
void mma_tf32_16x8x8(float* d, const uint32_t* a, const uint32_t* b, Location at);
void load_matrix(uint32_t* fragments, int count, bool transposed, const void* row, Location at);

// wgmma (warpgroup.cuh wraps these): d += a b of this thread's part, a and b descriptors.
struct WarpgroupProduct {
  float* d;
  int columns;
  uint64_t a, b;
  bool side_a, side_b;
};
uint64_t shared_offset(const void* shared);
void warpgroup_multiply_add(const WarpgroupProduct& product, Location at);
void warpgroup_begin();
void warpgroup_commit();
void warpgroup_wait(int groups_left, Location at);
void fence_async_proxy();

// cp.async (async_copy.cuh wraps these).
void async_copy(void* shared, const void* global, int bytes, int valid_bytes, Location at);
void async_copy_commit();
void async_copy_wait(int groups_left, Location at);

// An address that a vector instruction takes must be a multiple of its size.
void check_alignment(const void* address, size_t bytes, Location at);

}  // namespace passband::emulator
