#include "experiments/scale/measurement.h"

#include <algorithm>

#include "tensor/core/collective.h"
#include "tensor/core/timeline.h"

namespace passband::scale {

std::vector<MeasuredSum> measure_sums(int64_t most, int64_t repeats) {
  constexpr int64_t kLeast = 4096, kUntimed = 2;
  std::vector<MeasuredSum> result;
  std::vector<float> values(static_cast<size_t>(most) / sizeof(float), 1.0f);
  for (int64_t bytes = kLeast; bytes <= most; bytes *= 4) {
    std::vector<double> seconds;
    for (int64_t i = 0; i < kUntimed + repeats; ++i) {
      largest_of_processes(0);
      const double begin = timeline_now();
      begin_sum(values.data(), bytes / static_cast<int64_t>(sizeof(float))).wait();
      const double took = largest_of_processes(timeline_now() - begin);
      std::ranges::fill(values, 1.0f);
      if (i >= kUntimed) seconds.push_back(took);
    }
    std::ranges::sort(seconds);
    const auto at = [&](double share) {
      return seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
    };
    result.push_back({bytes, at(0), at(0.25), at(0.5), at(0.75)});
  }
  return result;
}

FittedCost fit_cost(const std::vector<MeasuredSum>& sums) {
  double ww = 0, wn = 0, nn = 0, wt = 0, nt = 0;
  for (const MeasuredSum& sum : sums) {  // of (a + b n - t) / t
    const double w = 1 / sum.least, n = static_cast<double>(sum.bytes) * w;
    ww += w * w, wn += w * n, nn += n * n, wt += w, nt += n;
  }
  const double determinant = ww * nn - wn * wn;
  if (sums.size() < 2 || determinant <= 0) return {};
  FittedCost cost{(wt * nn - nt * wn) / determinant, (ww * nt - wn * wt) / determinant};
  if (cost.latency < 0) cost = {0, nt / nn};
  if (cost.seconds_per_byte < 0) cost = {wt / ww, 0};
  return cost;
}

}  // namespace passband::scale
