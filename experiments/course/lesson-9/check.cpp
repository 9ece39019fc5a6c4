// Checks the exercises of lesson 9: the first under the memory checker in many schedules, the
// second for the race that it must have.
#include "experiments/course/lesson-9/exercises.h"

#include <cmath>
#include <numeric>

#include <cuda_emulator/controls.h>
#include <cuda_emulator/device_array.h>

#include "experiments/course/check.h"

namespace {

using passband::emulator::Fault;
using passband::testing::DeviceArray;

std::vector<float> numbers(size_t count) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i * i % 17);
  return x;
}

std::string check_neighbours() {
  const std::vector<float> x = numbers(3 * 64);
  std::vector<float> want(x.size());
  for (int i = 0; i < 3 * 64; ++i) {
    for (int j = i - 1; j <= i + 1; ++j)
      if (j >= 0 && j / 64 == i / 64) want[static_cast<size_t>(i)] += x[static_cast<size_t>(j)];
  }
  bool right = true;
  try {
    passband::emulator::for_each_schedule(3, [&] {
      const DeviceArray<float> from(x), to(x.size());
      course::sum_neighbours(to, from, 3);
      right = right && to.to_host() == want;
    });
  } catch (const Fault& fault) {
    return std::string("the emulator says: ") + fault.what();
  }
  return right ? "" : "no race any more, but the sums are wrong";
}

std::string check_planted() {
  const std::vector<float> x = numbers(256);
  const float want = std::accumulate(x.begin(), x.end(), 0.0f);
  try {
    const DeviceArray<float> from(x), to(1);
    course::sum_rows(to, from, 1);
    if (to.to_host()[0] != want)
      return "the sum is wrong already; only a barrier should be missing";
  } catch (const Fault& fault) {
    if (std::string(fault.what()).find("race") != std::string::npos) return "";
    return std::string("a fault, but not a race: ") + fault.what();
  }
  return "the emulator found no race: each barrier keeps writers from readers. Take one away";
}

}  // namespace

int main() { return course::check_exercises({check_neighbours, check_planted}); }
