// StoredZip: a zip archive whose entries lie in it uncompressed, as PyTorch writes them.
#pragma once
#include <cstdint>
#include <fstream>
#include <map>
#include <string>

namespace passband {

class StoredZip {
 public:
  // Reads the directory of an open file of `size` bytes, zip64 too. Throws DataError naming `path`
  // for what is no such archive, is cut short, or overlaps.
  StoredZip(std::ifstream& file, uint64_t size, std::string path);

  struct Entry {
    uint64_t begin = 0, size = 0;  // of its bytes in the file
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  [[noreturn]] void fail(const std::string& why) const;
  std::string read(uint64_t begin, uint64_t size);
  std::string directory();
  void add_entry(const std::string& directory, size_t& at);

  std::ifstream& file_;
  uint64_t size_;
  std::string path_;
  uint64_t count_ = 0;  // of entries
  std::map<std::string, Entry> entries_;
};

}  // namespace passband
