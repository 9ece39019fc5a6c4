// The runtime that the emulator offers: memory, copies, streams, events, graphs.
#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/test_kernels.h"

using namespace passband;
using namespace passband::testing;
using cuda::Copy;

namespace {

// Sets the options for one test.
struct WithOptions {
  emulator::Options saved = emulator::options();
  ~WithOptions() { emulator::options() = saved; }
};

std::vector<float> ramp(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

}  // namespace

TEST_CASE("copies and fills move exactly the bytes they are told to") {
  const auto values = ramp(100);
  const DeviceArray<float> a(values), b(100);
  cuda::fill_async(b, 0, 400);
  cuda::copy(b + 10, a + 20, 30 * sizeof(float), Copy::on_device);
  const auto result = b.to_host();
  for (int i = 0; i < 100; ++i) CHECK(result[i] == (i >= 10 && i < 40 ? i + 10.0f : 0.0f));
}

TEST_CASE("nothing is copied or allocated for zero bytes") {
  CHECK(cuda::device_malloc(0) == nullptr);
  cuda::device_free(nullptr);
  cuda::copy(nullptr, nullptr, 0, Copy::to_device);
  cuda::fill_async(nullptr, 0, 0);
}

TEST_CASE("device memory starts at multiples of 16 bytes and is counted") {
  const size_t before = cuda::memory_info().free_bytes;
  for (const size_t bytes : {1, 15, 16, 17, 4096, 5000}) {
    void* memory = cuda::device_malloc(bytes);
    CHECK(reinterpret_cast<uintptr_t>(memory) % 16 == 0);
    CHECK(cuda::memory_info().free_bytes == before - bytes);
    cuda::device_free(memory);
  }
  CHECK(cuda::memory_info().free_bytes == before);
}

TEST_CASE("running out of device memory throws OutOfMemory and leaves what there is in order") {
  const WithOptions restore;
  emulator::options().device_bytes = emulator::statistics().live_bytes + 1000;
  const DeviceArray<float> held(200);
  CHECK_THROWS_AS(cuda::device_malloc(400), OutOfMemory);
  const DeviceArray<float> fits(50);
  CHECK_THROWS_WITH(cuda::device_malloc(1), doctest::Contains("1 bytes asked for, "));
}

TEST_CASE("many allocations come and go without overlap") {
  std::vector<std::unique_ptr<DeviceArray<int>>> live;
  for (int i = 0; i < 500; ++i) {
    live.push_back(std::make_unique<DeviceArray<int>>(std::vector<int>(i % 97 + 1, i)));
    if (i % 3 == 0) live.erase(live.begin() + i * 7 % static_cast<int>(live.size()));
  }
  for (const auto& array : live) {
    const auto values = array->to_host();
    for (const int value : values) CHECK(value == values[0]);
  }
}

TEST_CASE("a leak is reported with the place of the allocation") {
  emulator::check_no_leaks();
  void* memory = cuda::device_malloc(48);
  CHECK_THROWS_WITH(emulator::check_no_leaks(),
                    doctest::Contains("48 bytes allocated at test_runtime.cpp:"));
  cuda::device_free(memory);
  emulator::check_no_leaks();
}

TEST_CASE("a stream keeps its order, under every order across streams") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const auto x = ramp(6);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    emulator::options().seed = seed;
    const DeviceArray<float> a(x), b(6), c(6);
    const cuda::Stream first, second;
    cuda::Event done;
    transpose(a, b, 2, 3, first);
    done.record(first);
    second.wait(done);
    transpose(b, c, 3, 2, second);
    axpy(1.0f, a, c, 6, second);
    second.synchronize();
    const auto result = c.to_host();
    for (int i = 0; i < 6; ++i) CHECK(result[i] == 2 * x[i]);
  }
}

TEST_CASE("deferred work is not done before somebody waits") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const DeviceArray<float> a(ramp(8));
  const cuda::Stream stream;
  cuda::Event event;
  CHECK(event.finished());
  const uint64_t launches = emulator::statistics().launches;
  axpy(1.0f, a, a, 8, stream);
  event.record(stream);
  CHECK(emulator::statistics().launches == launches);
  CHECK_FALSE(event.finished());
  event.synchronize();
  CHECK(emulator::statistics().launches == launches + 1);
  CHECK(event.finished());
  while (!stream.finished()) {
  }
}

TEST_CASE("host calls run in their turn") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const cuda::Stream stream;
  const DeviceArray<float> a(ramp(4));
  std::vector<float> host(4);
  float seen = -1;
  cuda::copy_async(host.data(), a, 4 * sizeof(float), Copy::to_host, stream);
  cuda::host_call_async([&] { seen = host[3]; }, stream);
  CHECK(seen == -1);
  stream.synchronize();
  CHECK(seen == 3);
}

TEST_CASE("library calls read and write device memory in their turn") {
  const cuda::Stream stream;
  const DeviceArray<float> a(ramp(4));
  float* const p = a;
  emulator::enqueue_library_call(stream.handle(), [p] {
    for (int i = 0; i < 4; ++i) p[i] *= 10;
    emulator::mark_written(p, 4 * sizeof(float));
  });
  stream.synchronize();
  CHECK(a.to_host() == std::vector<float>{0, 10, 20, 30});
}

TEST_CASE("events measure time") {
  cuda::Event start, stop;
  const DeviceArray<float> a(ramp(1000));
  CHECK_THROWS_AS(stop.milliseconds_since(start), Error);
  start.record();
  axpy(1.0f, a, a, 1000);
  stop.record();
  stop.synchronize();
  CHECK(stop.milliseconds_since(start) > 0);
}

TEST_CASE("a graph replays what was recorded, bit for bit") {
  const auto x = ramp(33);
  const cuda::Stream stream;
  const DeviceArray<float> eager(x), replayed(x), a(x);
  const auto step = [&](float* y) {
    axpy(0.1f, a, y, 33, stream);
    axpy(-0.3f, y, y, 33, stream);
  };
  cuda::Graph graph;
  graph.record(stream, [&] { step(replayed); });
  CHECK(replayed.to_host() == x);  // recorded, not executed
  for (int i = 0; i < 5; ++i) {
    step(eager);
    graph.launch(stream);
  }
  stream.synchronize();
  CHECK(replayed.to_host() == eager.to_host());
}

TEST_CASE("a recorded copy needs host memory that stays") {
  const DeviceArray<float> there(ramp(4));
  float* const target = there;
  const std::vector<float> passing(4, 1.0f);
  const cuda::Stream stream;
  cuda::Graph graph;
  const auto copy_from = [&](const void* host) {
    graph.record(stream,
                 [&] { cuda::copy_async(target, host, 16, cuda::Copy::to_device, stream); });
  };
  CHECK_THROWS_WITH_AS(copy_from(passing.data()), doctest::Contains("pinned memory"),
                       emulator::Fault);
  void* const pinned = cuda::pinned_malloc(16);
  std::memcpy(pinned, passing.data(), 16);
  copy_from(pinned);
  graph.launch(stream);
  stream.synchronize();
  CHECK(there.to_host() == passing);
  cuda::pinned_free(pinned);
}

TEST_CASE("after a fault the device can be used again") {
  const DeviceArray<float> a(ramp(40)), b(20);
  CHECK_THROWS_AS(transpose(a, b, 5, 8), emulator::Fault);
  const DeviceArray<float> c(40);
  transpose(a, c, 5, 8);
  CHECK(c.to_host()[1] == 8);
}

TEST_CASE(
    "a fault in a deferred launch is thrown where the stream "
    "is waited for, and drops what follows") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const DeviceArray<float> a(ramp(40)), b(20);
  const cuda::Stream stream;
  transpose(a, b, 5, 8, stream);
  axpy(1.0f, a, a, 40, stream);
  CHECK_THROWS_AS(stream.synchronize(), emulator::Fault);
  stream.synchronize();
  CHECK(a.to_host() == ramp(40));
}

TEST_CASE("an event that was dropped by a fault is waited for in vain, and says so") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const DeviceArray<float> a(ramp(40)), b(20);
  const cuda::Stream first, second;
  cuda::Event event;
  transpose(a, b, 5, 8, first);
  event.record(first);
  CHECK_THROWS_AS(first.synchronize(), emulator::Fault);
  CHECK_THROWS_WITH(event.synchronize(), doctest::Contains("was dropped after a fault"));
  second.wait(event);
  CHECK_THROWS_WITH(second.synchronize(), doctest::Contains("was dropped after a fault"));
}

TEST_CASE("a fault that turns up while a destructor waits is thrown by the next call") {
  const WithOptions restore;
  emulator::options().deferred_streams = true;
  const DeviceArray<float> a(ramp(40)), b(20);
  const cuda::Stream stream;
  cuda::Event event;
  transpose(a, b, 5, 8, stream);
  event.record(stream);
  event.wait_quietly();
  CHECK_THROWS_AS(stream.synchronize(), emulator::Fault);
  stream.synchronize();
}

TEST_CASE("the message of a fault names the module that was running") {
  const ScopeGuard scope("stage3.block2");
  const DeviceArray<float> a(ramp(40)), b(20);
  CHECK_THROWS_WITH(transpose(a, b, 5, 8), doctest::Contains("\n  in stage3.block2"));
}
