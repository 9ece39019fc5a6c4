// Arrays of MATLAB's MAT-files of level 5, plain or compressed, as SVHN and Flowers-102 publish
// their labels and pictures ("MAT-File Format", MathWorks, section 1).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace passband {

// A real numeric array in MATLAB's order: the first index runs fastest.
struct MatlabArray {
  std::string name;
  std::vector<int64_t> shape;  // two extents or more
  int64_t element_bytes = 0;   // of a stored number; MATLAB stores small values in small types
  bool is_signed = false, is_floating = false;
  std::vector<uint8_t> data;  // little-endian
  int64_t count() const;
};

// The arrays of `names`, in this order; others are passed over. Throws DataError naming the file
// and what is wrong: no MAT-file of level 5 in little-endian order, cut or damaged, larger than
// `most_bytes` once inflated, no array of a name, text, cells, sparse or complex numbers.
std::vector<MatlabArray> read_matlab(const std::filesystem::path& path,
                                     const std::vector<std::string>& names, int64_t most_bytes);

// Its numbers, which must be whole and of 0 to `most`. `path` is for messages. Throws DataError.
std::vector<int64_t> whole_numbers(const MatlabArray& array, int64_t most,
                                   const std::filesystem::path& path);

}  // namespace passband
