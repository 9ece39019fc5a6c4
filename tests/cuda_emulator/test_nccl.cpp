// Sums of emulated devices, each in a process of its own, through the code that calls NCCL on GPUs;
// and processes that do other work than the rest, which are found out.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/cuda/device_sums.h"
#include "tensor/cuda/stream.h"
#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/nccl_stand_in.h"

using namespace passband;
using namespace passband::testing;

namespace {

using Lines = std::vector<std::string>;

struct Rank {
  int rank = 0, size = 1;
  DeviceSums& sums;
};

// Calls work(rank) in each of `count` processes; what each says, or its error.
Lines run_devices(int count, const std::function<std::string(const Rank&)>& work) {
  std::string why;
  const DeviceSumsModule& module = *cuda::device_sums_module(why);
  std::string id(kDeviceSumsIdBytes, '\0');
  module.make_id(id.data());
  std::vector<std::array<int, 2>> pipes(static_cast<size_t>(count));
  std::vector<pid_t> children;
  for (int rank = 0; rank < count; ++rank) {
    auto& ends = pipes[static_cast<size_t>(rank)];
    REQUIRE(pipe(ends.data()) == 0);
    const pid_t child = fork();
    if (child == 0) {
      std::string text;
      try {
        const std::unique_ptr<DeviceSums> sums(module.join(id.data(), rank, count));
        text = work({rank, count, *sums});
      } catch (const std::exception& error) {
        text = error.what();
      }
      const bool told = write(ends[1], text.data(), text.size()) == std::ssize(text);
      _exit(told ? 0 : 1);
    }
    close(ends[1]);
    children.push_back(child);
  }
  Lines lines;
  for (const auto& ends : pipes) {
    lines.emplace_back();
    std::array<char, 256> some{};
    for (ssize_t n; (n = read(ends[0], some.data(), some.size())) > 0;)
      lines.back().append(some.data(), static_cast<size_t>(n));
    close(ends[0]);
  }
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  return lines;
}

Lines nothing(int count) { return Lines(static_cast<size_t>(count)); }

template <class T> T value_of(int rank, size_t i) {
  return std::ldexp(T(1) + T(0.37) * static_cast<T>(i % 13), 5 * rank - 9);
}

template <class T> bool sums_are_right(const Rank& r, size_t count) {
  std::vector<T> own(count);
  for (size_t i = 0; i < count; ++i) own[i] = value_of<T>(r.rank, i);
  const DeviceArray<T> values(own);
  r.sums.sum(values, static_cast<int64_t>(count), cuda::compute_stream());
  cuda::synchronize(cuda::compute_stream());
  const std::vector<T> got = values.to_host();
  for (size_t i = 0; i < count; ++i) {
    T sum = 0;
    for (int rank = 0; rank < r.size; ++rank) sum += value_of<T>(rank, i);
    if (got[i] != sum) return false;
  }
  return true;
}

// A sum of `count` f32, which nobody looks at.
void sum_some(const Rank& r, int64_t count) {
  const DeviceArray<float> values(std::vector<float>(static_cast<size_t>(count), 1.0f));
  r.sums.sum(values, count, cuda::compute_stream());
  cuda::synchronize(cuda::compute_stream());
}

}  // namespace

TEST_CASE("sums of devices are those of all, in one order of the ranks") {
  for (const int count : {1, 2, 3})
    CHECK(run_devices(count, [](const Rank& r) {
            for (const size_t size : {size_t{1}, size_t{1000}, size_t{50003}})
              if (!sums_are_right<float>(r, size) || !sums_are_right<double>(r, size))
                return concat_text("a wrong sum of ", size);
            return r.sums.trouble();
          }) == nothing(count));
}

TEST_CASE("sums on a stream beside the recorded one are part of the recording") {
  CHECK(run_devices(2, [](const Rank& r) {
          const DeviceArray<float> a(std::vector<float>{1, 2}), b(std::vector<float>{3});
          const cuda::Stream compute, beside;
          cuda::Event given, arrived;
          cuda::Graph graph;
          graph.record(compute, [&] {
            for (const auto* each : {&a, &b}) {  // two buckets
              given.record(compute);
              beside.wait(given);
              r.sums.sum(*each, each == &a ? 2 : 1, beside.handle());
            }
            arrived.record(beside);
            compute.wait(arrived);
            cuda::copy_async(a + 1, b, sizeof(float), cuda::Copy::on_device, compute);
          });
          if (a.to_host() != std::vector<float>{1, 2}) return std::string("not only recorded");
          for (int launch = 0; launch < 3; ++launch) graph.launch(compute);
          compute.synchronize();
          // a[0]: 1, 2, 4, 8; b: 3, 6, 12, 24, which comes to a[1] after its sum
          if (a.to_host() != std::vector<float>{8, 24}) return std::string("a wrong sum");
          return r.sums.trouble();
        }) == nothing(2));
}

TEST_CASE("a stream that joins a recording and does not come back is a fault") {
  const DeviceArray<float> a(std::vector<float>{1});
  const cuda::Stream compute, beside;
  cuda::Event given;
  cuda::Graph graph;
  CHECK_THROWS_WITH_AS(graph.record(compute,
                                    [&] {
                                      given.record(compute);
                                      beside.wait(given);
                                      cuda::fill_async(a, 0, sizeof(float), beside);
                                    }),
                       doctest::Contains("the recorded stream does not wait for"), emulator::Fault);
  CHECK(a.to_host() == std::vector<float>{1});
  cuda::fill_async(a, 0, sizeof(float), beside);  // both streams are free again
  beside.synchronize();
  CHECK(a.to_host() == std::vector<float>{0});
}

TEST_CASE("a device that leaves out a call, or makes another, is named in every process") {
  emulator::set_nccl_patience(2);
  const auto all_say = [](const Lines& lines, const std::string& text) {
    for (const std::string& line : lines) {
      CAPTURE(line);
      CHECK(line == "NCCL: emulated NCCL failed (" + text + ")");
    }
  };
  // rank 1 skips the second of three
  all_say(run_devices(3,
                      [](const Rank& r) {
                        sum_some(r, 10);
                        if (r.rank != 1) sum_some(r, 20);
                        sum_some(r, 30);
                        return r.sums.trouble();
                      }),
          "rank 1 comes to call 2 with a sum of 30 f32, rank 0 with a sum of 20 f32");
  // rank 1 skips the last
  all_say(run_devices(2,
                      [](const Rank& r) {
                        sum_some(r, 10);
                        if (r.rank != 1) sum_some(r, 20);
                        else sleep(3);
                        sum_some(r, 20);
                        return r.sums.trouble();
                      }),
          "rank 1 has not come to call 2, a sum of 20 f32, for 2 s");
  // another size
  all_say(run_devices(2,
                      [](const Rank& r) {
                        sum_some(r, 10 + r.rank);
                        return r.sums.trouble();
                      }),
          "rank 1 comes to call 1 with a sum of 11 f32, rank 0 with a sum of 10 f32");
  // another order
  all_say(run_devices(2,
                      [](const Rank& r) {
                        sum_some(r, r.rank == 0 ? 10 : 20);
                        sum_some(r, r.rank == 0 ? 20 : 10);
                        return r.sums.trouble();
                      }),
          "rank 1 comes to call 1 with a sum of 20 f32, rank 0 with a sum of 10 f32");
  // recorded in one process alone
  all_say(run_devices(2,
                      [](const Rank& r) {
                        std::unique_ptr<cuda::RecordingScope> recording;
                        if (r.rank == 0) recording = std::make_unique<cuda::RecordingScope>();
                        sum_some(r, 10);
                        return r.sums.trouble();
                      }),
          "rank 1 comes to call 1 with a sum of 10 f32, rank 0 with a recorded sum of 10 f32");
}

TEST_CASE("sums that are abandoned hold up nobody, and none can be begun") {
  CHECK(run_devices(2, [](const Rank& r) {
          sum_some(r, 10);
          r.sums.abandon();
          try {
            sum_some(r, 10);
          } catch (const std::runtime_error& error) {
            return std::string(error.what());
          }
          return std::string("no error");
        }) == Lines(2, "NCCL's sums were abandoned"));
}
