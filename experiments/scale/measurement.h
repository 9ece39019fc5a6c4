// How long the sum over the processes of a launcher takes, by its size.
#pragma once
#include <cstdint>
#include <vector>

namespace passband::scale {

struct MeasuredSum {
  int64_t bytes = 0;
  double least = 0, low = 0, median = 0, high = 0;  // seconds; low and high: quartiles
};

// The sums that a training makes, of 4 KB to `most` bytes by factors of 4, `repeats` of each. All
// processes call it and get the times of the slowest.
std::vector<MeasuredSum> measure_sums(int64_t most, int64_t repeats);

// a and b of a + b n that come nearest to the least times, which other work has disturbed least, as
// shares of these; both at least 0.
struct FittedCost {
  double latency = 0, seconds_per_byte = 0;
};
FittedCost fit_cost(const std::vector<MeasuredSum>& sums);

}  // namespace passband::scale
