#include "train/live/metrics_reader.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace passband {
namespace {

using nlohmann::json;

double live_number(const json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void MetricsReader::take(const std::string& line) {
  const json j = json::parse(line, nullptr, false);
  if (!j.is_object()) return;
  Row row{.step = j.value("step", int64_t{0}),
          .epoch = j.value("epoch", int64_t{0}),
          .split = j.value("split", std::string()),
          .loss = live_number(j, "loss")};
  const bool trains = row.split == "train";
  row.accuracy = live_number(j, trains ? "accuracy" : "top1");
  (trains ? train_ : evaluations_).push_back(std::move(row));
}

void MetricsReader::read_on() {
  std::ifstream in(file_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(read_));
  for (std::string line; std::getline(in, line) && !in.eof();) {
    read_ += line.size() + 1;
    take(line);
  }
}

json MetricsReader::curves(size_t most) const {
  const size_t width = std::max<size_t>(1, (train_.size() + most - 1) / most);
  json train = json::array(), evaluations = json::array();
  for (size_t first = 0; first < train_.size(); first += width) {
    const size_t end = std::min(first + width, train_.size());
    double loss = 0, accuracy = 0;
    for (size_t i = first; i < end; ++i) {
      loss += train_[i].loss;
      accuracy += train_[i].accuracy;
    }
    const auto count = static_cast<double>(end - first);
    train.push_back({{"step", train_[end - 1].step},
                     {"epoch", train_[end - 1].epoch},
                     {"loss", loss / count},
                     {"accuracy", accuracy / count}});
  }
  for (const Row& row : evaluations_)
    evaluations.push_back({{"step", row.step},
                           {"epoch", row.epoch},
                           {"split", row.split},
                           {"loss", row.loss},
                           {"top1", row.accuracy}});
  return {{"train", train}, {"evaluations", evaluations}};
}

}  // namespace passband
