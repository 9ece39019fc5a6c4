// Mistakes of host code: launches, copies, streams, memory.
#include <cstring>

#include "tensor/cuda/device.cuh"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/planted_faults.h"
#if !defined(__CUDACC__)
#include "tests/cuda_emulator/controls.h"
#endif

namespace passband::testing {

namespace {

using namespace cuda;
using Floats = std::vector<float>;

__global__ void increment(float* y) { y[threadIdx.x] += 1; }
__global__ void copy_kernel(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

Floats launch_with(const Launch& config) {
  const DeviceArray<float> y(Floats(32, 0.0f));
  launch(config, increment, y);
  return y.to_host();
}

Floats touch_device_memory() {
  const DeviceArray<float> y(Floats(32, 1.0f));
  const volatile float* p = y;
  return {*p};
}

Floats copy_too_much() {
  const DeviceArray<float> y(Floats(4, 1.0f));
  Floats host(5);
  copy(host.data(), y, 5 * sizeof(float), Copy::to_host);
  return host;
}

Floats copy_in_the_wrong_direction() {
  const DeviceArray<float> y(Floats(4, 1.0f));
  const Floats host(4);
  copy(y, host.data(), 4 * sizeof(float), Copy::on_device);
  return host;
}

Floats free_twice() {
  void* memory = device_malloc(64);
  device_free(memory);
  device_free(memory);
  return {};
}

Floats free_the_middle() {
  auto* memory = static_cast<char*>(device_malloc(64));
  device_free(memory + 16);
  return {};
}

Floats leak() {
  device_malloc(64);
#if !defined(__CUDACC__)
  emulator::check_no_leaks();
#endif
  return {};
}

Floats more_memory_than_there_is() {
  device_malloc(size_t{1} << 50);
  return {};
}

Floats result_read_before_the_stream_is_done() {
  const DeviceArray<float> y(Floats(32, 1.0f));
  const Stream stream;
  Floats host(32);
  launch({.block = 32, .stream = stream}, increment, y);
  copy_async(host.data(), y, 32 * sizeof(float), Copy::to_host, stream);
  const Floats too_early = host;
  stream.synchronize();
  return too_early;
}

Floats pinned_source_changed_too_early() {
  const DeviceArray<float> y(Floats(32, 0.0f));
  const Stream stream;
  auto* pinned = static_cast<float*>(pinned_malloc(32 * sizeof(float)));
  for (int i = 0; i < 32; ++i) pinned[i] = 1;
  copy_async(y, pinned, 32 * sizeof(float), Copy::to_device, stream);
  for (int i = 0; i < 32; ++i) pinned[i] = NAN;
  stream.synchronize();
  pinned_free(pinned);
  return y.to_host();
}

Floats streams_that_do_not_wait_for_each_other() {
  const DeviceArray<float> x(Floats(32, 0.0f)), y(Floats(32, 0.0f));
  const Stream producer, consumer;
  for (int i = 0; i < 4; ++i) launch({.block = 32, .stream = producer}, increment, x);
  launch({.block = 32, .stream = consumer}, copy_kernel, x, y);
  consumer.synchronize();
  return y.to_host();
}

Floats wait_while_recording() {
  const DeviceArray<float> y(Floats(32, 0.0f));
  const Stream stream;
  Graph graph;
  graph.record(stream, [&] {
    launch({.block = 32, .stream = stream}, increment, y);
    stream.synchronize();
  });
  return y.to_host();
}

}  // namespace

const std::vector<PlantedFault>& host_faults() {
  const auto same = [](const char* name, Floats (*run)(), const char* message) {
    return PlantedFault{name, run, message, message, message};
  };
  static const std::vector<PlantedFault> list = {
      same(
          "a block of 2048 threads", [] { return launch_with({.block = 2048}); },
          "invalid launch: a block of (2048,1,1) threads"),
      same(
          "too much dynamic shared memory",
          [] { return launch_with({.block = 32, .shared_bytes = size_t{1} << 20}); },
          "increment(float*) (launched at planted_host_faults.cu:"),
      same("host code that touches device memory", touch_device_memory,
           "host code touches device memory"),
      same("a copy larger than the allocation", copy_too_much,
           "copy from device: 20 bytes from byte 0 leave the 16"),
      same("a copy in the wrong direction", copy_in_the_wrong_direction, "is not device memory"),
      same("a double free", free_twice, "is not the start of a live allocation"),
      same("a free of the middle", free_the_middle,
           "is not the start of a live allocation; byte 16 of the 64 bytes"),
      same("a leak", leak,
           "device memory leak: 1 allocations: 64 bytes allocated at planted_host_faults.cu:"),
      same("more memory than there is", more_memory_than_there_is, "out of device memory"),
      same("a result read before its stream is done", result_read_before_the_stream_is_done,
           kPoisoned),
      same("a pinned source changed too early", pinned_source_changed_too_early, kPoisoned),
      same("streams that do not wait for each other", streams_that_do_not_wait_for_each_other,
           kOrderDependent),
      same("waiting while a graph is recorded", wait_while_recording,
           "synchronize: not while a graph"),
  };
  return list;
}

}  // namespace passband::testing
