#include "train/gradient_buckets.h"

namespace passband {

std::vector<GradientRange> gradient_buckets(const std::vector<GradientRange>& parameters,
                                            int64_t first_bytes, int64_t bytes) {
  constexpr int64_t kElement = sizeof(float);
  std::vector<GradientRange> buckets;
  int64_t room = 0;
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    if (room <= 0) {
      buckets.push_back({.begin = it->begin + it->count});
      room = (buckets.size() == 1 ? first_bytes : bytes) / kElement;
    }
    GradientRange& bucket = buckets.back();
    bucket.count += bucket.begin - it->begin;
    bucket.begin = it->begin;
    room -= it->count;
  }
  return buckets;
}

}  // namespace passband
