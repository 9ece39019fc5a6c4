// Kernels with one mistake each.
#include "tests/cuda_emulator/planted_faults.h"

#include "tensor/cuda/device.cuh"
#include "tests/cuda_emulator/device_array.h"

namespace passband::testing {

namespace {

using namespace cuda;
using Floats = std::vector<float>;

constexpr unsigned kAllLanes = 0xffffffffu;

// Races and missing barriers.

__global__ void missing_barrier(float* y) {
  SHARED(float, tile, [64]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void missing_barrier_before_overwrite(float* y) {
  SHARED(float, tile, [64]);
  float sum = 0;
  for (int k = 0; k < 3; ++k) {
    tile[threadIdx.x] = static_cast<float>(threadIdx.x + k);
    __syncthreads();
    sum += tile[(threadIdx.x + 1) % 64];
  }
  y[threadIdx.x] = sum;
}

__global__ void shuffle_taken_for_a_fence(float* y) {
  SHARED(float, tile, [32]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  const float one = __shfl_xor_sync(kAllLanes, 1.0f, 1);
  y[threadIdx.x] = one + tile[threadIdx.x ^ 1];
}

__global__ void missing_syncwarp(float* y) {
  SHARED(float, tile, [32]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = tile[31 - threadIdx.x];
}

__device__ float sum_with_one_scratch(float value) {
  SHARED(float, partial, [2]);
  for (int offset = 16; offset > 0; offset >>= 1)
    value += __shfl_xor_sync(kAllLanes, value, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  return partial[0] + partial[1];
}

__global__ void scratch_used_twice(float* y) {
  const float first = sum_with_one_scratch(1.0f);
  y[threadIdx.x] = first + sum_with_one_scratch(static_cast<float>(threadIdx.x));
}

__global__ void blocks_add_without_atomics(float* y) { y[0] += 1; }

__global__ void reads_what_another_block_writes(float* y) {
  y[blockIdx.x] = static_cast<float>(blockIdx.x);
  if (blockIdx.x == 0) y[4] = y[1];
}

__global__ void stencil_in_place(float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
  const float right = y[(i + 1) % n];
  __syncthreads();
  y[i] = right;
}

__global__ void last_block_without_fence(const float* x, float* y, float* partial,
                                         unsigned* finished) {
  partial[blockIdx.x] = x[blockIdx.x];
  if (atomicInc(finished, gridDim.x - 1) != gridDim.x - 1) return;
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += partial[i];
  y[0] = sum;
}

__global__ void last_block_with_half_a_fence(const float* x, float* y, float* partial,
                                             unsigned* finished) {
  partial[blockIdx.x] = x[blockIdx.x];
  __threadfence();
  if (atomicInc(finished, gridDim.x - 1) != gridDim.x - 1) return;
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += partial[i];
  y[0] = sum;
}

__global__ void plain_write_beside_atomics(float* y) {
  if (threadIdx.x == 0) y[0] = 1;
  else atomicAdd(&y[0], 1.0f);
}

__global__ void sum_of_float_atomics(const float* x, float* y) { atomicAdd(y, x[threadIdx.x]); }

// Barriers and warps.

__global__ void divergent_barrier(float* y) {
  if (threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();
  }
}

__global__ void barrier_against_shuffle(float* y) {
  if (threadIdx.x == 0) __syncthreads();
  else y[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1.0f, 1);
}

__global__ void barriers_in_a_loop_of_uneven_length(float* y) {
  for (unsigned i = 0; i < threadIdx.x; ++i) __syncthreads();
  y[threadIdx.x] = 1;
  __syncthreads();
}

__global__ void mask_names_lanes_that_returned(float* y) {
  if (threadIdx.x >= 16) return;
  y[threadIdx.x] = __shfl_xor_sync(kAllLanes, static_cast<float>(threadIdx.x), 1);
}

__global__ void lane_outside_its_mask(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, static_cast<float>(threadIdx.x), 1);
}

__global__ void lanes_in_different_operations(float* y) {
  if (threadIdx.x % 2) y[threadIdx.x] = __shfl_sync(kAllLanes, 1.0f, 0);
  else y[threadIdx.x] = static_cast<float>(__ballot_sync(kAllLanes, 1));
}

__global__ void half_a_warp_multiplies(float* y) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x < 16) mma_bf16_16x8x16(d, a, b);
  __syncwarp();
  y[threadIdx.x] = d[0];
}

// Memory.

__global__ void index_past_a_shared_array(float* y) {
  SHARED(float, tile, [32]);
  SHARED(float, other, [32]);
  float* const p = tile;
  other[threadIdx.x] = 0;
  p[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = other[threadIdx.x];
}

__global__ void index_of_a_shared_array(float* y) {
  SHARED(float, tile, [4][8]);
  tile[threadIdx.x / 8][threadIdx.x % 8] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x / 8][threadIdx.x % 8 + 1];
}

__global__ void read_past_dynamic_shared(float* y) {
  DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + 1];
}

__global__ void uses_dynamic_shared(float* y) {
  DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = 1;
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void static_and_dynamic_shared(float* y) {
  DYNAMIC_SHARED(float, tile);
  SHARED(float, more, [1024]);
  tile[threadIdx.x] = more[threadIdx.x] = 1;
  y[threadIdx.x] = tile[threadIdx.x] + more[threadIdx.x];
}

#if !defined(__CUDACC__)  // nvcc refuses this one
__global__ void too_much_static_shared(float* y) {
  SHARED(float, big, [60000]);
  big[threadIdx.x] = 1;
  y[threadIdx.x] = big[threadIdx.x];
}
#endif

__global__ void tail_not_cut(float* y, int n) {
  const int i = threadIdx.x;
  if (i <= n) y[i] = 1;
}

__global__ void write_before_the_start(float* y) { y[static_cast<int>(threadIdx.x) - 1] = 1; }

__global__ void shared_half_written(float* y) {
  SHARED(float, tile, [64]);
  if (threadIdx.x < 32) tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void copy_kernel(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

__global__ void misaligned_float4(const float* x, float* y) {
  const float4 v = *reinterpret_cast<const float4*>(x + 1 + threadIdx.x * 4);
  y[threadIdx.x] = v.x + v.w;
}

__global__ void misaligned_pack(const float* x, float* y) {
  y[threadIdx.x] = load_pack<4>(x + 1 + threadIdx.x * 4)[0];
}

__global__ void large_local_array(float* y) {
  volatile float local[40000];
  local[0] = y[0];
  local[39999] = 2;
  y[0] = local[0] + local[39999];
}

float host_counter = 0;
__global__ void writes_a_host_variable(float* y, float* counter) {
  *counter = 1;
  y[threadIdx.x] = 1;
}

__global__ void integer_overflow(float* y, int rows, int columns) {
  const int index = rows * columns;
  y[threadIdx.x] = static_cast<float>(index);
}

__global__ void null_pointer(float* y, const float* x) { y[threadIdx.x] = *x; }

Floats zeros(size_t n) { return Floats(n, 0.0f); }

Floats ramp(size_t n) {
  Floats values(n);
  for (size_t i = 0; i < n; ++i) values[i] = 1.0f / static_cast<float>(i + 1);
  return values;
}

// Runs a kernel whose only argument is the output, n floats that start as zeros.
template <auto kernel, unsigned threads, unsigned blocks = 1, size_t n = size_t{threads} * blocks>
Floats run() {
  const DeviceArray<float> y(zeros(n));
  launch({.grid = blocks, .block = threads}, kernel, y);
  return y.to_host();
}

// Runs a kernel that reads `inputs` floats.
template <auto kernel, unsigned threads, size_t inputs> Floats run_with_input() {
  const DeviceArray<float> x(ramp(inputs)), y(zeros(threads));
  launch({.block = threads}, kernel, x, y);
  return y.to_host();
}

template <auto kernel> Floats run_last_block() {
  const DeviceArray<float> x(ramp(8)), y(zeros(1)), partial(8);
  const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
  launch({.grid = 8}, kernel, x, y, partial, finished);
  return y.to_host();
}

Floats run_float_atomics() {
  const DeviceArray<float> x(ramp(64)), y(zeros(1));
  launch({.block = 64}, sum_of_float_atomics, x, y);
  return y.to_host();
}

Floats run_dynamic(void (*kernel)(float*), size_t shared_bytes) {
  const DeviceArray<float> y(zeros(32));
  launch({.block = 32, .shared_bytes = shared_bytes}, kernel, y);
  return y.to_host();
}

template <size_t n> Floats run_tail() {
  const DeviceArray<float> y(zeros(n));
  launch({.block = 64}, tail_not_cut, y, static_cast<int>(n));
  return y.to_host();
}

Floats run_unwritten_input() {
  const DeviceArray<float> x(32), y(zeros(32));
  launch({.block = 32}, copy_kernel, x, y);
  return y.to_host();
}

Floats run_use_after_free() {
  const DeviceArray<float> y(zeros(32));
  const float* freed = nullptr;
  {
    const DeviceArray<float> x(zeros(32));
    freed = x;
  }
  launch({.block = 32}, copy_kernel, freed, y);
  return y.to_host();
}

Floats run_host_pointer() {
  const Floats host = zeros(32);
  const DeviceArray<float> y(zeros(32));
  launch({.block = 32}, copy_kernel, host.data(), y);
  return y.to_host();
}

Floats run_host_variable() {
  const DeviceArray<float> y(zeros(32));
  launch({.block = 32}, writes_a_host_variable, y, &host_counter);
  return y.to_host();
}

Floats run_integer_overflow() {
  const DeviceArray<float> y(zeros(1));
  launch({}, integer_overflow, y, 3000000, 1024);
  return y.to_host();
}

Floats run_null_pointer() {
  const DeviceArray<float> y(zeros(32));
  launch({.block = 32}, null_pointer, y, nullptr);
  return y.to_host();
}

constexpr const char* kRaceRead = "race with a read: write of 4 bytes of shared memory";
constexpr const char* kRaceWrite = "race with a write: read of 4 bytes of shared memory";
constexpr const char* kUnwritten = "read of memory that was never written";
constexpr const char* kAddressPoison = "use-after-poison";

const std::vector<PlantedFault> kFaults = {
    {"a missing barrier", run<missing_barrier, 64>, kPoisoned, kUnwritten, kPoisoned},
    {"a missing barrier before the tile is written again",
     run<missing_barrier_before_overwrite, 64>, kOrderDependent, kRaceRead, kOrderDependent},
    {"a shuffle taken for a fence", run<shuffle_taken_for_a_fence, 32>, kUnseen, kRaceWrite,
     kUnseen},
    {"a missing __syncwarp", run<missing_syncwarp, 32>, kPoisoned, kUnwritten, kPoisoned},
    {"scratch memory of a device function used twice without a barrier",
     run<scratch_used_twice, 64>, kOrderDependent, "in block (0,0,0) thread", kOrderDependent},
    {"blocks that add without atomics", run<blocks_add_without_atomics, 1, 8, 1>, kUnseen,
     "race with a write: read of 4 bytes of device memory", kUnseen},
    {"a block that reads what another writes", run<reads_what_another_block_writes, 1, 3, 5>,
     kOrderDependent, "race with a", kOrderDependent},
    {"a stencil in place across blocks", run<stencil_in_place, 32, 3>, kUnseen, "race with a",
     kUnseen},
    {"the last block adds up without a fence", run_last_block<last_block_without_fence>, kUnseen,
     "race with a write", kUnseen},
    {"the last block adds up without a fence of its own",
     run_last_block<last_block_with_half_a_fence>, kUnseen, "race with a write", kUnseen},
    {"a plain write beside atomics", run<plain_write_beside_atomics, 32, 1, 1>, kOrderDependent,
     "race with a write", kOrderDependent},
    {"a sum of float atomics, where determinism is promised", run_float_atomics, kOrderDependent,
     kOrderDependent, kOrderDependent},
    {"a barrier in both branches", run<divergent_barrier, 64>,
     "divergent barrier: block (0,0,0) thread (0,0,0)",
     "divergent barrier: block (0,0,0) thread (0,0,0)",
     "divergent barrier: block (0,0,0) thread (0,0,0)"},
    {"a barrier against a shuffle", run<barrier_against_shuffle, 32>, "deadlock in block (0,0,0)",
     "31 threads wait in __shfl_xor_sync", "1 threads wait in __syncthreads"},
    {"barriers in a loop of uneven length", run<barriers_in_a_loop_of_uneven_length, 8>,
     "divergent barrier", "divergent barrier", "divergent barrier"},
    {"a mask that names lanes which have returned", run<mask_names_lanes_that_returned, 32>,
     "the mask of __shfl_xor_sync", "has returned", "has returned"},
    {"a lane outside its own mask", run<lane_outside_its_mask, 32>,
     "the calling lane is not in its own mask", "the calling lane is not in its own mask",
     "the calling lane is not in its own mask"},
    {"lanes of one mask in different operations", run<lanes_in_different_operations, 32>,
     "another lane of the same mask waits in", "another lane of the same mask",
     "another lane of the same mask"},
    {"half a warp at the tensor core", run<half_a_warp_multiplies, 32>,
     "another lane of the same mask waits in mma", "another lane of the same mask waits in mma",
     "another lane of the same mask waits in mma"},
    {"an index past a shared array", run<index_past_a_shared_array, 32>,
     "write past the end of the shared variable 'tile' of 128 bytes",
     "access outside a shared variable: write of 4 bytes", kAddressPoison},
    {"a column index past its row", run<index_of_a_shared_array, 32>, kPoisoned,
     "index outside the array", "out of bounds"},
    {"a read past dynamic shared memory", [] { return run_dynamic(read_past_dynamic_shared, 128); },
     kPoisoned, "access outside a shared variable: read of 4 bytes", kAddressPoison},
    {"dynamic shared memory that was not asked for",
     [] { return run_dynamic(uses_dynamic_shared, 0); }, "the launch asks for none",
     "the launch asks for none", "the launch asks for none"},
    {"more shared memory than there is",
     [] { return run_dynamic(static_and_dynamic_shared, 226 * 1024); },
     "shared memory is exhausted by 'more'", "shared memory is exhausted by 'more'",
     "shared memory is exhausted by 'more'"},
#if !defined(__CUDACC__)
    {"more static shared memory than there is", run<too_much_static_shared, 32>,
     "use DYNAMIC_SHARED", "use DYNAMIC_SHARED", "use DYNAMIC_SHARED"},
#endif
    {"a tail not cut, into the next page", run_tail<32>,
     "0 bytes past the end of the 128 bytes allocated at", "write of 4 bytes of device memory",
     "0 bytes past the end of the 128 bytes allocated at"},
    {"a tail not cut, by a few bytes", run_tail<5>,
     "write past the end of the 20 bytes allocated at", "0 bytes past the end of the 20 bytes",
     kAddressPoison},
    {"a write before the start", run<write_before_the_start, 32>,
     "write before the start of the 128 bytes", "4 bytes before the 128 bytes", kAddressPoison},
    {"shared memory half written", run<shared_half_written, 64>, kPoisoned, kUnwritten, kPoisoned},
    {"input never written", run_unwritten_input, kPoisoned, kUnwritten, kPoisoned},
    {"use after free", run_use_after_free,
     "use after free of the 128 bytes allocated at planted_faults.cu",
     "use after free of the 128 bytes", "use after free"},
    {"a host pointer as a kernel argument", run_host_pointer, kUnseen,
     "a kernel touches host memory: read of 4 bytes", kUnseen},
    {"a host variable written by a kernel", run_host_variable, kUnseen,
     "a kernel touches host memory: write of 4 bytes", kUnseen},
    {"a misaligned float4", run_with_input<misaligned_float4, 32, 200>, kUnseen,
     "misaligned access", "misaligned"},
    {"a misaligned load_pack", run_with_input<misaligned_pack, 32, 200>,
     "misaligned vector access: 16 bytes", "misaligned vector access: 16 bytes",
     "misaligned vector access: 16 bytes"},
    {"local variables larger than the stack", run<large_local_array, 1>, "stack overflow",
     "stack overflow", "stack overflow"},
    {"integer overflow in an index", run_integer_overflow, kUnseen,
     "signed integer overflow in a multiplication, at planted_faults.cu",
     "signed integer overflow"},
    {"a null pointer", run_null_pointer, "access to no memory at all", "use of a null pointer",
     "null pointer"},
};

}  // namespace

const std::vector<PlantedFault>& kernel_faults() { return kFaults; }

}  // namespace passband::testing
