// The MD5 sums that the makers of a data set publish for its files, and the check against them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace passband {

// MD5 (RFC 1321) in 32 hexadecimal digits. Against damage, not against forgery.
std::string md5_of(std::span<const uint8_t> bytes);

struct PublishedSum {
  std::string_view file;
  std::string_view md5;
};

// Compares the files of `folder` with their sums. What agreed is remembered by size and time of
// modification in <folder>/.md5-checked, where that can be written, and not read again until it
// changes. Throws DataError naming file, sums and `remedy`.
void check_published_sums(const std::filesystem::path& folder, std::span<const PublishedSum> sums,
                          std::string_view remedy);

}  // namespace passband
