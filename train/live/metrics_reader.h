// The lines of a run's metrics.jsonl while they are written.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace passband {

class MetricsReader {
 public:
  explicit MetricsReader(std::filesystem::path file) : file_(std::move(file)) {}

  // Reads what has been added since the last call; a line that is not whole is left for the next.
  void read_on();
  // {"train": [{"step", "epoch", "loss", "accuracy"}], "evaluations": [{"step", "epoch", "split",
  // "loss", "top1"}]}: the means of at most `most` runs of steps of equal length, and every
  // evaluation. What is not finite is null.
  nlohmann::json curves(size_t most) const;

 private:
  struct Row {
    int64_t step = 0, epoch = 0;
    std::string split;
    double loss = 0, accuracy = 0;
  };
  void take(const std::string& line);

  std::filesystem::path file_;
  uint64_t read_ = 0;  // bytes
  std::vector<Row> train_, evaluations_;
};

}  // namespace passband
