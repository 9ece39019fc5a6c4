// How the flat gradient vector is cut into what processes exchange at a time.
#pragma once
#include <cstdint>
#include <vector>

namespace passband {

// Elements of the flat vector.
struct GradientRange {
  int64_t begin = 0, count = 0;
};

inline constexpr int64_t kFirstBucketBytes = int64_t{1} << 20, kBucketBytes = int64_t{24} << 20;

// From the end of the vector, where a backward pass begins; the first bucket is small, so that its
// transfer begins early. A bucket takes whole parameters until it has `bytes`, of 4 an element.
// `parameters`: in the order of the vector.
std::vector<GradientRange> gradient_buckets(const std::vector<GradientRange>& parameters,
                                            int64_t first_bytes = kFirstBucketBytes,
                                            int64_t bytes = kBucketBytes);

}  // namespace passband
