#include "train/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "models/run_files.h"
#include "tensor/core/error.h"
#include "train/say.h"

namespace passband {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kSummary = "summary.csv";
constexpr const char* kSummaryHeader = "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n";

// JSON has no NaN: null, and a flag beside it.
void put_number(json& line, const char* key, double value) {
  if (std::isfinite(value)) {
    line[key] = value;
  } else {
    line[key] = nullptr;
    line["nonfinite"] = true;
  }
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The lines of a file for which `keep` holds. A last line that was cut by a crash is dropped.
std::string kept_lines(const fs::path& run, const char* name,
                       const std::function<bool(const std::string&)>& keep) {
  if (!fs::exists(run / name)) return {};
  std::istringstream in(read_run_file(run, name));
  std::string kept, line;
  while (std::getline(in, line))
    if (!in.eof() && keep(line)) kept += line + '\n';
  return kept;
}

std::string metrics_until(const fs::path& run, int64_t step) {
  return kept_lines(run, kMetrics, [&](const std::string& line) {
    const json j = json::parse(line, nullptr, false);
    return !j.is_discarded() && j.value("step", int64_t{0}) <= step;
  });
}

std::string summary_until(const fs::path& run, int64_t epochs_done) {
  const std::string rows = kept_lines(run, kSummary, [&](const std::string& line) {
    return !line.starts_with("epoch") && std::atoll(line.c_str()) <= epochs_done;
  });
  return kSummaryHeader + rows;
}

}  // namespace

RunLog::RunLog(const fs::path& run, int64_t step, int64_t epochs_done) : run_(run) {
  const std::string metrics = metrics_until(run, step);
  summary_ = summary_until(run, epochs_done);
  replace_run_file(run, kMetrics, metrics, /*grows=*/true);
  replace_run_file(run, kSummary, summary_);
  written_ = std::ssize(metrics);
  checksum_.add(metrics);
  metrics_ = ::open((run / kMetrics).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
}

RunLog::RunLog(RunLog&& other) noexcept
    : run_(std::move(other.run_)),
      metrics_(std::exchange(other.metrics_, -1)),
      written_(other.written_),
      checksum_(other.checksum_),
      pending_(std::move(other.pending_)),
      summary_(std::move(other.summary_)),
      complained_(other.complained_) {}

RunLog::~RunLog() {
  if (metrics_ >= 0) ::close(metrics_);
}

void RunLog::complain(const std::string& what) {
  if (!complained_) say(fmt::format("train: {}; training goes on, the lines follow later\n", what));
  complained_ = true;
}

void RunLog::append(const std::string& line) {
  pending_ += line + '\n';
  const ssize_t count = ::write(metrics_, pending_.data(), pending_.size());
  if (count == std::ssize(pending_)) {
    written_ += count;
    checksum_.add(pending_);
    pending_.clear();
    return;
  }
  const int reason = count < 0 ? errno : ENOSPC;
  // A part of a line would join the next one.
  if (count > 0 && ::ftruncate(metrics_, written_) != 0) ::close(std::exchange(metrics_, -1));
  complain(
      fmt::format("{}: cannot be written: {}", (run_ / kMetrics).string(), std::strerror(reason)));
}

void RunLog::record() {
  try {
    if (metrics_ >= 0 && ::fsync(metrics_) == 0)
      record_run_log(run_, kMetrics, static_cast<uint64_t>(written_), checksum_.value());
  } catch (const Error& error) {
    complain(error.what());
  }
}

void RunLog::step(int64_t step, int64_t epoch, double loss, double accuracy, double lr) {
  json line = {{"t", now()},       {"step", step},         {"epoch", epoch},
               {"split", "train"}, {"accuracy", accuracy}, {"lr", lr}};
  put_number(line, "loss", loss);
  append(line.dump());
}

void RunLog::evaluation(int64_t step, int64_t epoch, const char* split, const Evaluation& e) {
  json line = {{"t", now()},     {"step", step},   {"epoch", epoch},   {"split", split},
               {"top1", e.top1}, {"top5", e.top5}, {"images", e.count}};
  put_number(line, "loss", e.loss);
  append(line.dump());
}

void RunLog::summary(int64_t epoch, double train_loss, const Evaluation& e, double lr) {
  summary_ += fmt::format("{},{:.6f},{:.6f},{:.4f},{:.4f},{:.6g}\n", epoch, train_loss, e.loss,
                          100 * e.top1, 100 * e.top5, lr);
  try {
    replace_run_file(run_, kSummary, summary_);
  } catch (const Error& error) {
    complain(error.what());
  }
}

}  // namespace passband
