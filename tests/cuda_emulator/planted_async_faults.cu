// Broken kernels of what goes on while the threads do: asynchronous copies, ldmatrix, products by a
// warp group.
#include "tensor/cuda/mma.cuh"
#include "tensor/cuda/warpgroup.cuh"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/planted_faults.h"

namespace passband::testing {

using namespace passband::cuda;

namespace {

using Floats = std::vector<float>;

__global__ void copy_not_waited_for(const float* x, float* y) {
  SHARED(float, tile, [128]);
  async_copy<16>(&tile[threadIdx.x * 4], x + threadIdx.x * 4);
  async_copy_commit();
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void one_group_too_few(const float* x, float* y) {
  SHARED(float, tile, [2][32]);
  for (int stage = 0; stage < 2; ++stage) {
    async_copy<4>(&tile[stage][threadIdx.x], x + stage * 32 + threadIdx.x);
    async_copy_commit();
  }
  async_copy_wait<1>();
  __syncthreads();
  y[threadIdx.x] = tile[0][threadIdx.x] + tile[1][threadIdx.x];
}

__global__ void waits_without_barrier(const float* x, float* y) {
  SHARED(float, tile, [64]);
  async_copy<4>(&tile[threadIdx.x], x + threadIdx.x);
  async_copy_commit();
  async_copy_wait<0>();
  y[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void buffer_refilled_too_early(const float* x, float* y) {
  SHARED(float, tile, [64]);
  float sum = 0;
  for (int stage = 0; stage < 3; ++stage) {
    async_copy<4>(&tile[threadIdx.x], x + stage * 64 + threadIdx.x);
    async_copy_commit();
    async_copy_wait<0>();
    __syncthreads();
    sum += tile[(threadIdx.x + 1) % 64];
  }
  y[threadIdx.x] = sum;
}

__global__ void misaligned_async_copy(const float* x, float* y) {
  SHARED(float, tile, [129]);
  async_copy<16>(&tile[threadIdx.x * 4 + 1], x + threadIdx.x * 4);
  async_copy_commit();
  async_copy_wait<0>();
  y[threadIdx.x] = 1;
}

__global__ void ldmatrix_from_device_memory(const float* x, float* y) {
  uint32_t fragments[4];
  load_matrix_x4(fragments, x + threadIdx.x * 4);
  y[threadIdx.x] = static_cast<float>(fragments[0]);
}

#if !defined(__CUDACC__)
// Products by a warp group, of 64 x 64 elements with themselves.

struct alignas(1024) Stage {
  bf16 values[64 * 64];
};

template <bool begins, bool fences> __global__ void warpgroup_product(const float* x, float* y) {
  SHARED(Stage, stage, );
  for (int run = threadIdx.x; run < 512; run += 128)
    async_copy<16>(&stage.values[run * 8], x + run * 4);
  async_copy_commit();
  async_copy_wait<0>();
  if (fences) fence_async_proxy();
  __syncthreads();
  const uint64_t operand = operand_address(shared_address(&stage)) | uint64_t{1} << 16 |
                           uint64_t{64} << 32 | uint64_t{1} << 62;
  float d[8][4] = {};
  if (begins) warpgroup_begin();
  warpgroup_multiply_add<false, false>(d, operand, operand);
  warpgroup_commit();
  warpgroup_wait<0>();
  y[threadIdx.x] = d[0][0];
}

__global__ void warpgroup_not_waited_for(float* y) {
  SHARED(Stage, stage, );
  for (int i = threadIdx.x; i < 64 * 64; i += 128) stage.values[i] = bf16(1.0f);
  fence_async_proxy();
  __syncthreads();
  const uint64_t operand = operand_address(shared_address(&stage)) | uint64_t{1} << 16 |
                           uint64_t{64} << 32 | uint64_t{1} << 62;
  float d[8][4] = {};
  warpgroup_begin();
  warpgroup_multiply_add<false, false>(d, operand, operand);
  warpgroup_commit();
  y[threadIdx.x] = d[0][0];
}
#endif

template <auto kernel, unsigned threads> Floats run() {
  const DeviceArray<float> y(Floats(threads, 0.0f));
  launch({.block = threads}, kernel, y);
  return y.to_host();
}

// Runs a kernel that reads `inputs` floats.
template <auto kernel, unsigned threads, size_t inputs> Floats run_with_input() {
  Floats values(inputs);
  for (size_t i = 0; i < inputs; ++i) values[i] = 1.0f / static_cast<float>(i + 1);
  const DeviceArray<float> x(values), y(Floats(threads, 0.0f));
  launch({.block = threads}, kernel, x, y);
  return y.to_host();
}

constexpr const char* kUnwritten = "read of memory that was never written";

const std::vector<PlantedFault> kFaults = {
    {"an async_copy not waited for", run_with_input<copy_not_waited_for, 32, 128>, kPoisoned,
     "used before async_copy_wait", kPoisoned},
    {"a wait for one group too few", run_with_input<one_group_too_few, 32, 64>, kPoisoned,
     "used before async_copy_wait", kPoisoned},
    {"a wait without the barrier after it", run_with_input<waits_without_barrier, 64, 64>,
     kPoisoned, kUnwritten, kPoisoned},
    {"a buffer refilled while others read it", run_with_input<buffer_refilled_too_early, 64, 192>,
     kOrderDependent, "race with a read", kOrderDependent},
    {"a misaligned async_copy", run_with_input<misaligned_async_copy, 32, 128>,
     "no multiple of the 16 bytes copied", "no multiple of the 16 bytes copied",
     "no multiple of the 16 bytes copied"},
#if !defined(__CUDACC__)
    {"products by a warp group without the fence before them",
     run_with_input<warpgroup_product<false, true>, 128, 2048>, "no wgmma.fence", "no wgmma.fence",
     "no wgmma.fence"},
    {"products by a warp group of copies that it was not told of",
     run_with_input<warpgroup_product<true, false>, 128, 2048>, "no fence.proxy.async",
     "no fence.proxy.async", "no fence.proxy.async"},
    {"products by a warp group not waited for", run<warpgroup_not_waited_for, 128>, kOrderDependent,
     kOrderDependent, kOrderDependent},
#endif
    {"ldmatrix from device memory", run_with_input<ldmatrix_from_device_memory, 32, 128>,
     "not in shared memory", "not in shared memory", "not in shared memory"},
};

}  // namespace

const std::vector<PlantedFault>& async_faults() { return kFaults; }

}  // namespace passband::testing
