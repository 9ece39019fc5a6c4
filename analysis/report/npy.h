// NumPy's .npy format, version 1.0: little-endian f64 arrays in C order.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace passband {

// The bytes of a .npy file. Throws Error when shape and number of values disagree.
std::string encode_npy(std::span<const double> values, const std::vector<int64_t>& shape);

}  // namespace passband
