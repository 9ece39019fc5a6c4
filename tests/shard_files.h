// Tar archives for tests, written byte by byte here.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace passband::testing {

// A field of a header: `digits` octal digits.
inline std::string octal(int64_t value, size_t digits) {
  std::string text(digits, '0');
  for (size_t i = digits; i-- > 0; value /= 8) text[i] = static_cast<char>('0' + value % 8);
  return text;
}

// A header with these 12 bytes for its size, and a right checksum.
inline std::string header_with(const std::string& name, const std::string& size_field,
                               char type = '0') {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 8, std::string("0000644\0", 8));
  block.replace(124, 12, size_field);
  block.replace(148, 8, "        ");
  block[156] = type;
  block.replace(257, 8, std::string("ustar\00000", 8));
  int64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  block.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
  return block;
}

inline std::string padded_to_block(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}

inline std::string tar_member(const std::string& name, const std::string& content,
                              char type = '0') {
  return header_with(name, octal(static_cast<int64_t>(content.size()), 11) + '\0', type) +
         padded_to_block(content);
}

inline const std::string kTarEnd = std::string(1024, '\0');

inline void write_text(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using Members = std::vector<std::pair<std::string, std::string>>;  // names and contents

inline std::string tar_of(const Members& members) {
  std::string bytes;
  for (const auto& [name, content] : members) bytes += tar_member(name, content);
  return bytes + kTarEnd;
}

// So old that what is read of it now is trusted later.
inline void make_old(const std::filesystem::path& path, int seconds = 10) {
  std::filesystem::last_write_time(
      path, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(seconds));
}

}  // namespace passband::testing
