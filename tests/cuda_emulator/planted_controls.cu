// Sound programs that resemble the planted faults: the emulator must have nothing to say about
// them.
#include "tensor/cuda/device.cuh"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/planted_faults.h"

namespace passband::testing {

namespace {

using namespace cuda;
using Floats = std::vector<float>;

__global__ void integer_atomics(unsigned* y) {
  atomicAdd(&y[0], 1u);
  atomicMax(&y[1], blockIdx.x * blockDim.x + threadIdx.x);
}

__global__ void warp_exchange(float* y) {
  SHARED(float, tile, [32]);
  for (int k = 0; k < 3; ++k) {
    tile[threadIdx.x] = static_cast<float>(threadIdx.x + k);
    __syncwarp();
    y[threadIdx.x] = tile[31 - threadIdx.x];
    __syncwarp();
  }
}

// Many lanes read, then one writes: ordered by the __syncwarp between.
__global__ void warp_reads_then_one_writes(float* y) {
  SHARED(float, shared, );
  if (threadIdx.x == 0) shared = 1;
  for (int k = 0; k < 3; ++k) {
    __syncwarp();
    y[threadIdx.x] = shared;
    __syncwarp();
    if (threadIdx.x == 5) shared = static_cast<float>(k);
  }
}

__global__ void neighbours_in_one_word(bf16* y) {
  SHARED(bf16, tile, [64]);
  tile[threadIdx.x] = bf16(static_cast<float>(threadIdx.x));
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void some_return_early(float* y, int n) {
  SHARED(float, tile, [64]);
  if (static_cast<int>(threadIdx.x) >= n) return;
  tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[(threadIdx.x + 1) % n];
}

__global__ void blocks_read_the_same_and_write_their_own(const float* x, float* y) {
  y[blockIdx.x] = x[0] + x[1];
}

__global__ void last_block_with_fence(const float* x, float* y, float* partial,
                                      unsigned* finished) {
  SHARED(bool, last, );
  partial[blockIdx.x * blockDim.x + threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(finished, gridDim.x - 1) == gridDim.x - 1;
  __syncthreads();
  if (!last) return;
  __threadfence();
  if (threadIdx.x == 0)
    for (unsigned i = 0; i < gridDim.x * blockDim.x; ++i) y[0] += partial[i];
}

__global__ void double_buffer(const float* x, float* y) {
  SHARED(float, tile, [2][64]);
  async_copy<4>(&tile[0][threadIdx.x], x + threadIdx.x);
  async_copy_commit();
  float sum = 0;
  for (int stage = 0; stage < 3; ++stage) {
    if (stage < 2)
      async_copy<4>(&tile[(stage + 1) % 2][threadIdx.x], x + (stage + 1) * 64 + threadIdx.x);
    async_copy_commit();
    async_copy_wait<1>();
    __syncthreads();
    sum += tile[stage % 2][(threadIdx.x + 1) % 64];
    __syncthreads();
  }
  y[threadIdx.x] = sum;
}

__global__ void adds_one(float* y) { y[threadIdx.x] += 1; }

__constant__ float table[4] = {1, 2, 3, 4};
__global__ void reads_a_constant(float* y) { y[threadIdx.x] = table[threadIdx.x % 4]; }

Floats zeros(size_t n) { return Floats(n, 0.0f); }

template <auto kernel, unsigned threads> Floats run() {
  const DeviceArray<float> y(zeros(threads));
  launch({.block = threads}, kernel, y);
  return y.to_host();
}

Floats run_integer_atomics() {
  const DeviceArray<unsigned> y(std::vector<unsigned>{0, 0});
  launch({.grid = 4, .block = 64}, integer_atomics, y);
  const auto host = y.to_host();
  return {static_cast<float>(host[0]), static_cast<float>(host[1])};
}

Floats run_neighbours() {
  const DeviceArray<bf16> y(64);
  launch({.block = 64}, neighbours_in_one_word, y);
  const auto host = y.to_host();
  return Floats(host.begin(), host.end());
}

Floats run_early_return() {
  const DeviceArray<float> y(zeros(40));
  launch({.block = 64}, some_return_early, y, 40);
  return y.to_host();
}

Floats run_shared_reads() {
  const DeviceArray<float> x(Floats{1, 2}), y(8);
  launch({.grid = 8}, blocks_read_the_same_and_write_their_own, x, y);
  return y.to_host();
}

Floats run_last_block() {
  const DeviceArray<float> x(Floats(128, 0.5f)), y(zeros(1)), partial(128);
  const DeviceArray<unsigned> finished(std::vector<unsigned>{0});
  launch({.grid = 4, .block = 32}, last_block_with_fence, x, y, partial, finished);
  return y.to_host();
}

Floats run_double_buffer() {
  const DeviceArray<float> x(Floats(192, 0.25f)), y(64);
  launch({.block = 64}, double_buffer, x, y);
  return y.to_host();
}

// A stream that waits for another's event, and a second grid that changes what the first has read.
Floats run_streams_with_event() {
  const DeviceArray<float> x(zeros(32)), y(zeros(32));
  const Stream producer, consumer;
  Event written;
  for (int i = 0; i < 4; ++i) launch({.block = 32, .stream = producer}, adds_one, x);
  written.record(producer);
  consumer.wait(written);
  copy_async(y, x, 32 * sizeof(float), Copy::on_device, consumer);
  launch({.block = 32, .stream = consumer}, adds_one, y);
  consumer.synchronize();
  return y.to_host();
}

}  // namespace

const std::vector<PlantedFault>& controls() {
  const auto clean = [](const char* name, Floats (*run_program)()) {
    return PlantedFault{name, run_program, kUnseen, kUnseen, kUnseen};
  };
  static const std::vector<PlantedFault> list = {
      clean("integer atomics", run_integer_atomics),
      clean("an exchange in a warp", run<warp_exchange, 32>),
      clean("a warp that reads before one lane writes", run<warp_reads_then_one_writes, 32>),
      clean("neighbours of two bytes in one word", run_neighbours),
      clean("threads that return before a barrier", run_early_return),
      clean("blocks that read the same", run_shared_reads),
      clean("the last block adds up after a fence", run_last_block),
      clean("double buffering", run_double_buffer),
      clean("streams joined by an event", run_streams_with_event),
      clean("a constant table", run<reads_a_constant, 32>),
  };
  return list;
}

}  // namespace passband::testing
