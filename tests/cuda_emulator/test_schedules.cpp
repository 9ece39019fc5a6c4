// The schedules themselves: their order, their form in the environment, and what their options
// change.
#include <doctest/doctest.h>

#include <set>

#include "tests/cuda_emulator/controls.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/test_kernels.h"

using namespace passband;
using namespace passband::testing;
using emulator::Order;

namespace {

std::vector<int> arrivals(Order order, uint64_t seed) {
  const emulator::Options saved = emulator::options();
  emulator::options().order = order;
  emulator::options().seed = seed;
  const DeviceArray<int> ranks(kArrivalBlocks * kArrivalThreads);
  const DeviceArray<int> counter(std::vector<int>{0});
  arrival_ranks(ranks, counter);
  emulator::options() = saved;
  return ranks.to_host();
}

}  // namespace

TEST_CASE("forward runs threads and blocks in their order, reverse the other way round") {
  const int n = kArrivalBlocks * kArrivalThreads;
  const auto forward = arrivals(Order::forward, 1), reverse = arrivals(Order::reverse, 1);
  for (int i = 0; i < n; ++i) {
    CHECK(forward[i] == i);
    CHECK(reverse[i] == n - 1 - i);
  }
}

TEST_CASE("random and greedy orders are drawn from the seed, and every thread runs once") {
  for (const Order order : {Order::random, Order::greedy}) {
    std::set<std::vector<int>> seen;
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const auto ranks = arrivals(order, seed);
      CHECK(ranks == arrivals(order, seed));
      CHECK(std::set<int>(ranks.begin(), ranks.end()).size() == ranks.size());
      seen.insert(ranks);
    }
    CHECK(seen.size() == 5);
  }
}

TEST_CASE("greedy runs a warp as far as it can") {
  const auto ranks = arrivals(Order::greedy, 3);
  for (int warp = 0; warp < kArrivalBlocks * kArrivalThreads / 32; ++warp) {
    const std::set<int> of_warp(ranks.begin() + warp * 32, ranks.begin() + warp * 32 + 32);
    CHECK(*of_warp.rbegin() - *of_warp.begin() == 31);
  }
}

TEST_CASE("every schedule is visited, and the options are restored even by an exception") {
  const std::string before = emulator::describe(emulator::options());
  std::set<std::string> seen;
  emulator::for_each_schedule(2, [&] { seen.insert(emulator::describe(emulator::options())); });
  CHECK(seen.size() == 6);
  CHECK_THROWS_AS(emulator::for_each_schedule(2, [] { throw Error("stop"); }), Error);
  CHECK(emulator::describe(emulator::options()) == before);
}

TEST_CASE("strict_exit demands every thread at a barrier") {
  const emulator::Options saved = emulator::options();
  const DeviceArray<float> y(40);
  barrier_after_return(y, 40);
  emulator::options().strict_exit = true;
  std::string text;
  try {
    barrier_after_return(y, 40);
  } catch (const emulator::Fault& fault) {
    text = fault.what();
  }
  emulator::options() = saved;
  CHECK(text.find(
            "deadlock in block (0,0,0): 24 threads returned, 40 threads wait in __syncthreads") !=
        std::string::npos);
}

TEST_CASE("grids of all dimensions reach every block and thread") {
  emulator::for_each_schedule(1, [] {
    const DeviceArray<int> seen(std::vector<int>(2 * 3 * 4 * 3 * 5 * 2, 0));
    count_coordinates(seen);
    for (const int times : seen.to_host()) CHECK(times == 1);
  });
}
