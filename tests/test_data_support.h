// Shared by the tests of data: a folder that vanishes, files from bytes, messages, real CIFAR.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include "data/dataset.h"
#include "tensor/core/error.h"

namespace passband::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "passband_data_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}

inline std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  std::vector<uint8_t> bytes(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), std::ssize(bytes));
  return bytes;
}

// The message of the Expected that `f` throws; empty if it throws nothing.
template <class Expected, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const Expected& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A folder with all of CIFAR-10, when this machine has one; the tests on real pictures are skipped
// otherwise.
inline bool have_cifar10() {
  static const bool have = message_of<DataError>([] { load_dataset({.name = "cifar10"}); }).empty();
  return have;
}

// count x size x size pictures of pixel values that name their place: (index, y, x) -> bytes.
inline Dataset counting_dataset(int64_t count, int64_t height, int64_t width) {
  Dataset data{
      .name = "counting", .split = "train", .count = count, .height = height, .width = width};
  data.mean = {0, 0, 0};
  data.std = {1, 1, 1};
  data.classes = {"a", "b", "c"};
  for (int64_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<int32_t>(i % 3));
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (const int64_t value : {i + 1, y + 1, x + 1})
          data.images.push_back(static_cast<uint8_t>(value));
  }
  return data;
}

}  // namespace passband::testing
