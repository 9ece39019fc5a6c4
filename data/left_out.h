// What a reader of folders passes over, by reason, counted.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace passband {

class LeftOut {
 public:
  // `name` counts under `reason`. Names are shown relative to the folder that is read.
  void add(std::string_view reason, const std::filesystem::path& name, int64_t count = 1);
  bool empty() const { return reasons_.empty(); }
  // "hidden: 2 (.DS_Store, __MACOSX); no picture: 14 (notes.txt, a.csv, b.csv, ...)"
  std::string text() const;

  struct Reason {
    std::string text;
    int64_t count = 0;
    std::vector<std::string> names;  // the first few
  };
  const std::vector<Reason>& reasons() const { return reasons_; }

 private:
  std::vector<Reason> reasons_;  // in the order in which they came up
};

}  // namespace passband
