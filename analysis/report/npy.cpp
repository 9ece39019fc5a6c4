// The .npy header is a Python dict literal, padded with spaces so that the data start at a multiple
// of 64 bytes.
#include "analysis/report/npy.h"

#include <fmt/format.h>

#include <bit>

#include "tensor/core/error.h"

namespace passband {

std::string encode_npy(std::span<const double> values, const std::vector<int64_t>& shape) {
  static_assert(std::endian::native == std::endian::little,
                "the data are written as they lie in memory");
  int64_t count = 1;
  std::string tuple;
  for (const int64_t size : shape) {
    count *= size;
    tuple += fmt::format("{}{}", tuple.empty() ? "" : ", ", size);
  }
  if (shape.size() == 1) tuple += ',';
  CHECK(count == static_cast<int64_t>(values.size()), "npy: ", values.size(),
        " values do not fill the shape (", tuple, ")");

  std::string header =
      fmt::format("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", tuple);
  constexpr size_t preamble = 10;
  header.append((64 - (preamble + header.size() + 1) % 64) % 64, ' ');
  header += '\n';

  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return bytes;
}

}  // namespace passband
