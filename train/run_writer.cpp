#include "train/run_writer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "models/run.h"
#include "tensor/core/file.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr const char* kCheckpoint = "optim.safetensors";
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

std::string file_friendly(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') c = '_';
  return name;
}

fs::path new_directory(const fs::path& parent, const TrainConfig& config) {
  const std::string data =
      fs::path(config.data).filename().empty() ? "data" : fs::path(config.data).filename();
  const std::string stem = fmt::format("{:%Y%m%d-%H%M%S}-{}-{}", fmt::localtime(std::time(nullptr)),
                                       file_friendly(config.model), file_friendly(data));
  std::error_code error;
  fs::create_directories(parent, error);
  if (error)
    throw Error(
        fmt::format("{}: can not make the directory: {}", parent.string(), error.message()));
  for (int attempt = 1;; ++attempt) {
    const fs::path directory = parent / (attempt == 1 ? stem : fmt::format("{}-{}", stem, attempt));
    if (fs::create_directory(directory, error)) return directory;
    if (error)
      throw Error(
          fmt::format("{}: can not make the directory: {}", directory.string(), error.message()));
  }
}

// The lines of a file for which `keep` holds. A last line that was cut by a crash is dropped.
std::string kept_lines(const fs::path& file, const std::function<bool(const std::string&)>& keep) {
  if (!fs::exists(file)) return {};
  std::istringstream in(read_file(file));
  std::string kept, line;
  while (std::getline(in, line))
    if (!in.eof() && keep(line)) kept += line + '\n';
  return kept;
}

json to_json(const TrainState& s) {
  return {{"step", s.step},
          {"epoch", s.epoch},
          {"batch", s.batch},
          {"epoch_loss", s.epoch_loss},
          {"epoch_correct", s.epoch_correct},
          {"epoch_images", s.epoch_images},
          {"best_top1", s.best_top1},
          {"best_epoch", s.best_epoch},
          {"best_count", s.best_count},
          {"seconds", s.seconds}};
}

TrainState state_from(const json& j) {
  TrainState s;
  j.at("step").get_to(s.step);
  j.at("epoch").get_to(s.epoch);
  j.at("batch").get_to(s.batch);
  j.at("epoch_loss").get_to(s.epoch_loss);
  j.at("epoch_correct").get_to(s.epoch_correct);
  j.at("epoch_images").get_to(s.epoch_images);
  j.at("best_top1").get_to(s.best_top1);
  j.at("best_epoch").get_to(s.best_epoch);
  s.best_count =
      j.value("best_count", INT64_MAX);  // runs of earlier versions evaluated on all pictures
  j.at("seconds").get_to(s.seconds);
  return s;
}

void restore_vector(const Tensor& into, const std::map<std::string, Tensor>& tensors,
                    const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    throw DataError(fmt::format("{}: tensor '{}' is missing", kCheckpoint, name));
  if (found->second.numel() != into.numel())
    throw DataError(fmt::format("{}: tensor '{}' has {} elements, the model has {}", kCheckpoint,
                                name, found->second.numel(), into.numel()));
  copy_(into, found->second.viewed_as(into.shape()));
}

}  // namespace

RunWriter::RunWriter(fs::path directory) : directory_(std::move(directory)) {
  metrics_.open(directory_ / "metrics.jsonl", std::ios::app);
  if (!metrics_)
    throw Error((directory_ / "metrics.jsonl").string() + ": can not be opened for writing");
}

RunWriter RunWriter::create(const fs::path& parent, const TrainConfig& config,
                            const std::string& toml) {
  const fs::path directory = new_directory(parent, config);
  write_file_atomically(directory / "config.toml", toml);
  write_file_atomically(directory / "summary.csv", kSummaryHeader);
  set_last_run(directory);
  return RunWriter(directory);
}

RunWriter RunWriter::reopen(const fs::path& run, int64_t step, int64_t epochs_done) {
  remove_stale_temporaries(run.string());
  const auto early = [&](const std::string& line) {
    const json j = json::parse(line, nullptr, false);
    return !j.is_discarded() && j.value("step", int64_t{0}) <= step;
  };
  write_file_atomically(run / "metrics.jsonl", kept_lines(run / "metrics.jsonl", early));
  const auto finished = [&](const std::string& line) {
    return line.starts_with("epoch") || std::atoll(line.c_str()) <= epochs_done;
  };
  write_file_atomically(run / "summary.csv", kept_lines(run / "summary.csv", finished));
  set_last_run(run);
  return RunWriter(run);
}

void RunWriter::append(const std::string& line) {
  metrics_ << line << '\n' << std::flush;
  if (!metrics_)
    throw Error((directory_ / "metrics.jsonl").string() +
                ": can not be written (is the disk full?)");
}

void RunWriter::log_step(int64_t step, int64_t epoch, double loss, double accuracy, double lr) {
  json line = {{"t", now()},       {"step", step},         {"epoch", epoch},
               {"split", "train"}, {"accuracy", accuracy}, {"lr", lr}};
  put_number(line, "loss", loss);
  append(line.dump());
}

void RunWriter::log_evaluation(int64_t step, int64_t epoch, const char* split,
                               const Evaluation& e) {
  json line = {{"t", now()},     {"step", step},   {"epoch", epoch},   {"split", split},
               {"top1", e.top1}, {"top5", e.top5}, {"images", e.count}};
  put_number(line, "loss", e.loss);
  append(line.dump());
}

void RunWriter::log_summary(int64_t epoch, double train_loss, const Evaluation& e, double lr) {
  const fs::path file = directory_ / "summary.csv";
  const std::string row = fmt::format("{},{:.6f},{:.6f},{:.4f},{:.4f},{:.6g}\n", epoch, train_loss,
                                      e.loss, 100 * e.top1, 100 * e.top5, lr);
  write_file_atomically(file, read_file(file) + row);
}

void RunWriter::save_checkpoint(const Model& model, const Optimizer& optimizer,
                                const std::optional<WeightAverage>& average,
                                const TrainState& state) {
  save_weights(directory_ / "last.safetensors", model, {{"step", std::to_string(state.step)}});
  std::map<std::string, Tensor> tensors;
  tensors["values"] = model.store().values();
  tensors["buffers"] = model.store().buffer_values();
  for (const auto& [name, tensor] : optimizer.state()) tensors["optimizer." + name] = tensor;
  if (average) {
    tensors["average.values"] = average->values;
    tensors["average.buffers"] = average->buffers;
  }
  std::erase_if(tensors, [](const auto& entry) { return !entry.second.defined(); });
  write_safetensors(directory_ / kCheckpoint, tensors, {{"state", to_json(state).dump()}});
}

void RunWriter::keep_checkpoint(const Model& model, int64_t epoch) {
  std::error_code error;
  fs::create_directories(directory_ / "checkpoints", error);
  save_weights(directory_ / checkpoint_name(epoch), model, {{"epoch", std::to_string(epoch)}});
}

void RunWriter::save_best(const Model& model, const Metadata& metadata) {
  save_weights(directory_ / "best.safetensors", model, metadata);
}

TrainState load_checkpoint(const fs::path& run, Model& model, Optimizer& optimizer,
                           std::optional<WeightAverage>& average) {
  Metadata metadata;
  const std::map<std::string, Tensor> tensors = read_safetensors(run / kCheckpoint, &metadata);
  TrainState state;
  try {
    state = state_from(json::parse(metadata["state"]));
  } catch (const json::exception&) {
    throw DataError((run / kCheckpoint).string() +
                    ": holds no training state; it was not written by train");
  }
  std::map<std::string, Tensor> optimizer_state;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with("optimizer.")) optimizer_state[name.substr(10)] = tensor;
  optimizer.restore(optimizer_state, state.step);
  restore_vector(model.store().values(), tensors, "values");
  if (model.store().buffer_values().defined())
    restore_vector(model.store().buffer_values(), tensors, "buffers");
  if (average) {
    restore_vector(average->values, tensors, "average.values");
    if (average->buffers.defined()) restore_vector(average->buffers, tensors, "average.buffers");
  }
  return state;
}

}  // namespace passband
