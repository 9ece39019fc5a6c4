// Lesson 9: runs a kernel with a race under the emulator's memory checker, in two orders of
// threads.
#include <cstdio>
#include <exception>
#include <numeric>

#include <cuda_emulator/controls.h>
#include <cuda_emulator/device_array.h>

#include "experiments/course/lesson-9/race.h"

int main() {
  std::vector<float> x(128);
  std::iota(x.begin(), x.end(), 0.0f);
  for (const auto order :
       {passband::emulator::Order::forward, passband::emulator::Order::reverse}) {
    passband::emulator::options().order = order;
    const passband::testing::DeviceArray<float> from(x), to(x.size());
    try {
      course::turn_rows(to, from, 2);
      std::printf("nothing was noticed\n");
    } catch (const std::exception& fault) {
      std::printf("%s\n", fault.what());
    }
  }
}
