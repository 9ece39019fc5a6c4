// Lesson 9: starts a softmax kernel in the emulator, to be looked at in a debugger.
#include <cstdio>
#include <numeric>

#include <cuda_emulator/device_array.h>

#include "experiments/ladder/ladder.h"

int main() {
  constexpr int kRows = 2, kColumns = 1024;
  std::vector<float> x(kRows * kColumns);
  std::iota(x.begin(), x.end(), 0.0f);
  for (float& value : x) value /= 1024;
  const passband::testing::DeviceArray<float> from(x), to(x.size());
  ladder::softmax_4_shuffles(to, from, kRows, kColumns);
  const std::vector<float> y = to.to_host();
  const auto second = y.begin() + kColumns;
  std::printf("the second row adds up to %.4f\n",
              static_cast<double>(std::accumulate(second, y.end(), 0.0f)));
}
