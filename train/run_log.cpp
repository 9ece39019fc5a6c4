#include "train/run_log.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "models/run_files.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
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
  std::string text = read_run_file(run, name), kept;
  text.resize(text.rfind('\n') + 1);
  for (const std::string& line : split_text(text, '\n'))
    if (keep(line)) kept += line + '\n';
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

RunLog::RunLog(const fs::path& run, int64_t step, int64_t epochs_done)
    : run_(run), summary_(summary_until(run, epochs_done)) {
  const std::string metrics = metrics_until(run, step);
  replace_run_file(run, kMetrics, metrics, /*grows=*/true);
  replace_run_file(run, kSummary, summary_);
  metrics_ = LogFile((run / kMetrics).string());
  checksum_.add(metrics);
}

void RunLog::complain(const std::string& what) {
  if (!complained_) say(fmt::format("train: {}; training goes on, the lines follow later\n", what));
  complained_ = true;
}

void RunLog::append(const std::string& line) {
  pending_ += line + '\n';
  try {
    metrics_.append(pending_);
  } catch (const Error& error) {
    return complain(error.what());
  }
  checksum_.add(pending_);
  pending_.clear();
}

void RunLog::write_events(int64_t step) {
  try {
    events_.emplace(run_, step);
  } catch (const Error& error) {
    say(fmt::format("train: {}; training goes on without events\n", error.what()));
  }
}

void RunLog::event(const std::string& tag, double value, int64_t step) {
  if (!events_) return;
  try {
    events_->scalar(tag, value, step);
  } catch (const Error& error) {
    say(fmt::format("train: {}; training goes on, and no more events are written\n", error.what()));
    events_.reset();
  }
}

void RunLog::record() {
  try {
    metrics_.sync();
    record_run_log(run_, kMetrics, static_cast<uint64_t>(metrics_.bytes()), checksum_.value());
  } catch (const Error& error) {
    complain(error.what());
  }
}

void RunLog::step(int64_t step, int64_t epoch, double loss, double accuracy, double lr) {
  json line = {{"t", now()},       {"step", step},         {"epoch", epoch},
               {"split", "train"}, {"accuracy", accuracy}, {"lr", lr}};
  put_number(line, "loss", loss);
  append(line.dump());
  event("loss/train", loss, step);
  event("accuracy/train", accuracy, step);
  event("learning rate", lr, step);
}

void RunLog::evaluation(int64_t step, int64_t epoch, const char* split, const Evaluation& e) {
  json line = {{"t", now()},     {"step", step},   {"epoch", epoch},   {"split", split},
               {"top1", e.top1}, {"top5", e.top5}, {"images", e.count}};
  put_number(line, "loss", e.loss);
  if (e.views) {
    line["tta_top1"] = e.views->top1;
    line["tta_top5"] = e.views->top5;
    put_number(line, "tta_loss", e.views->loss);
  }
  append(line.dump());
  event(concat_text("loss/", split), e.loss, step);
  event(concat_text("accuracy/", split), e.top1, step);
  event(concat_text("top-5/", split), e.top5, step);
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
