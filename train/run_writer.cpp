#include "train/run_writer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/run.h"
#include "models/run_files.h"
#include "tensor/core/file.h"
#include "tensor/ops/pointwise.h"
#include "train/say.h"

namespace passband {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr const char* kCheckpoint = "optim.safetensors";
constexpr const char* kProxy = "proxy.";   // what its tensors' names begin with
constexpr const char* kUnnamed = ".new-";  // begins the name of a directory that is being made

std::string file_friendly(std::string name, size_t longest) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') c = '_';
  return name.substr(0, longest);
}

// At most 76 characters, so that a number fits after it.
std::string name_of_run(const RunSettings& settings) {
  const std::string data = file_friendly(fs::path(settings.data).filename().string(), 20);
  return fmt::format("{:%Y%m%d-%H%M%S}-{}-{}", fmt::localtime(std::time(nullptr)),
                     file_friendly(settings.model, 59 - data.size()), data.empty() ? "data" : data);
}

[[noreturn]] void cannot_make(const fs::path& directory, const std::error_code& error) {
  throw Error(
      fmt::format("{}: can not make the directory: {}", directory.string(), error.message()));
}

// Gives the directory its name, or with a number the next one that is free.
fs::path named(const fs::path& made, const fs::path& wanted) {
  for (int attempt = 1;; ++attempt) {
    const fs::path name =
        attempt == 1 ? wanted : fs::path(fmt::format("{}-{}", wanted.string(), attempt));
    std::error_code error;
    if (fs::exists(name, error)) continue;
    fs::rename(made, name, error);
    if (!error) return name;
    if (error != std::errc::directory_not_empty && error != std::errc::file_exists)
      cannot_make(name, error);
  }
}

// A kill while a directory is being made leaves one that has no name yet.
void remove_unnamed(const fs::path& parent) {
  const auto recent = fs::file_time_type::clock::now() - std::chrono::minutes(1);
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (!entry->path().filename().string().starts_with(kUnnamed) ||
        fs::last_write_time(entry->path(), gone) > recent || gone)
      continue;
    try {
      const RunLock nobody_else(entry->path());
      fs::remove_all(entry->path(), gone);
    } catch (const UsageError&) {
    }
  }
}

// A convenience: that it can not be had ends nothing.
void point_last_at(const fs::path& run) {
  try {
    set_last_run(run);
  } catch (const std::exception& error) {
    say(fmt::format("train: {}; training goes on, name the run by its path\n", error.what()));
  }
}

json to_json(const TrainState& s) {
  return {{"step", s.step},
          {"epoch", s.epoch},
          {"batch", s.batch},
          {"epoch_loss", s.epoch_loss},
          {"epoch_correct", s.epoch_correct},
          {"epoch_images", s.epoch_images},
          {"best_top1", s.best_top1},
          {"best_tta", s.best_tta},
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
  s.best_tta = j.value("best_tta", -1.0);
  j.at("best_epoch").get_to(s.best_epoch);
  j.at("best_count").get_to(s.best_count);
  j.at("seconds").get_to(s.seconds);
  return s;
}

// The numbers of a state against each other; the trainer knows the steps of an epoch.
void check_state(const fs::path& file, const TrainState& s) {
  const auto count = [](int64_t value) { return value >= 0; };
  const auto sum = [](double value) { return std::isfinite(value) && value >= 0; };
  const bool right = count(s.step) && count(s.epoch) && count(s.batch) && s.epoch <= s.step &&
                     s.batch <= s.step && count(s.epoch_images) && std::isfinite(s.epoch_loss) &&
                     sum(s.epoch_correct) &&
                     s.epoch_correct <= static_cast<double>(s.epoch_images) && sum(s.seconds) &&
                     s.best_top1 >= -1 && s.best_top1 <= 1 && s.best_tta >= -1 && s.best_tta <= 1 &&
                     count(s.best_epoch) && s.best_epoch <= s.epoch + 1 && count(s.best_count);
  if (!right)
    throw DataError(fmt::format("{}: the numbers of its training state contradict each other: {}",
                                file.string(), to_json(s).dump()));
}

void restore_vector(const Tensor& into, const std::map<std::string, Tensor>& tensors,
                    const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    throw DataError(fmt::format("{}: tensor '{}' is missing", kCheckpoint, name));
  if (found->second.numel() != into.numel())
    throw DataError(fmt::format("{}: tensor '{}' has {} elements, the model has {}", kCheckpoint,
                                name, found->second.numel(), into.numel()));
  dispatch_floating(found->second.dtype(), "resume", [&]<class T>() {
    const T* const first = std::as_const(found->second).data<T>();
    const auto finite = [](T value) { return std::isfinite(static_cast<float>(value)); };
    if (!std::all_of(first, first + found->second.numel(), finite))
      throw DataError(
          fmt::format("{}: tensor '{}' holds values that are not finite", kCheckpoint, name));
  });
  copy_(into, found->second.viewed_as(into.shape()));
}

void add_network(std::map<std::string, Tensor>& tensors, const std::string& prefix,
                 const Model& model, const Optimizer& optimizer) {
  tensors[prefix + "values"] = model.store().values();
  tensors[prefix + "buffers"] = model.store().buffer_values();
  for (const auto& [name, tensor] : optimizer.state())
    tensors[prefix + "optimizer." + name] = tensor;
}

void restore_network(const std::map<std::string, Tensor>& tensors, const std::string& prefix,
                     Model& model, Optimizer& optimizer, int64_t steps) {
  const std::string state = prefix + "optimizer.";
  std::map<std::string, Tensor> optimizer_state;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(state)) optimizer_state[name.substr(state.size())] = tensor;
  optimizer.restore(optimizer_state, steps);
  restore_vector(model.store().values(), tensors, prefix + "values");
  if (model.store().buffer_values().defined())
    restore_vector(model.store().buffer_values(), tensors, prefix + "buffers");
}

}  // namespace

RunWriter::RunWriter(fs::path directory, RunLock lock, RunLog log, RunConfig config)
    : directory_(std::move(directory)),
      lock_(std::move(lock)),
      log_(std::move(log)),
      config_(std::move(config)) {}

void RunWriter::set_epochs(double epochs) {
  config_.settings.epochs = epochs;
  replace_run_file(directory_, "config.toml", with_checksum(to_toml(config_)));
}

RunWriter RunWriter::create(const fs::path& parent, const RunConfig& config) {
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) cannot_make(parent, error);
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  remove_unnamed(parent);
  const fs::path made = parent / fmt::format("{}{}-{}", kUnnamed, ::getpid(), now);
  if (!fs::create_directory(made, error)) cannot_make(made, error);
  try {
    RunLock lock(made);
    replace_run_file(made, "config.toml", with_checksum(to_toml(config)));
    const fs::path directory = named(made, parent / name_of_run(config.settings));
    RunWriter writer(directory, std::move(lock), RunLog(directory), config);
    point_last_at(directory);
    return writer;
  } catch (...) {
    fs::remove_all(made, error);
    throw;
  }
}

RunWriter RunWriter::reopen(const fs::path& run, RunLock lock, const RunConfig& config,
                            const TrainState& state) {
  remove_stale_temporaries(run.string());
  RunLog log(run, state.step, state.epoch);
  replace_run_file(run, "config.toml", with_checksum(to_toml(config)));
  point_last_at(run);
  return {run, std::move(lock), std::move(log), config};
}

void RunWriter::save_checkpoint(const TrainParts& parts, const TrainState& state) {
  save_weights(directory_ / "last.safetensors", parts.model,
               {{"step", std::to_string(state.step)}});
  std::map<std::string, Tensor> tensors;
  add_network(tensors, "", parts.model, parts.optimizer);
  if (parts.proxy) add_network(tensors, kProxy, parts.proxy->model(), parts.proxy->optimizer());
  if (parts.average) {
    tensors["average.values"] = parts.average->values;
    tensors["average.buffers"] = parts.average->buffers;
  }
  if (parts.lookahead) {
    tensors["lookahead.values"] = parts.lookahead->values;
    tensors["lookahead.buffers"] = parts.lookahead->buffers;
  }
  std::erase_if(tensors, [](const auto& entry) { return !entry.second.defined(); });
  write_safetensors(directory_ / kCheckpoint, tensors, {{"state", to_json(state).dump()}});
  log_.record();
}

void RunWriter::keep_checkpoint(const Model& model, int64_t epoch) {
  std::error_code error;
  fs::create_directories(directory_ / "checkpoints", error);
  save_weights(directory_ / checkpoint_name(epoch), model, {{"epoch", std::to_string(epoch)}});
}

void RunWriter::save_best(const Model& model, const Metadata& metadata) {
  save_weights(directory_ / "best.safetensors", model, metadata);
}

TrainState load_checkpoint(const fs::path& run, const TrainParts& parts) {
  if (!fs::exists(run / kCheckpoint))
    throw DataError(
        fmt::format("{}: stopped before its first save, so there is nothing to go on from; "
                    "./train --recipe {} begins it again",
                    run.string(), run.string()));
  Metadata metadata;
  const std::map<std::string, Tensor> tensors = read_safetensors(run / kCheckpoint, &metadata);
  TrainState state;
  try {
    state = state_from(json::parse(metadata["state"]));
  } catch (const json::exception&) {
    throw DataError((run / kCheckpoint).string() +
                    ": holds no training state; it was not written by train");
  }
  check_state(run / kCheckpoint, state);
  restore_network(tensors, "", parts.model, parts.optimizer, state.step);
  if (Proxy* proxy = parts.proxy)
    restore_network(tensors, kProxy, proxy->model(), proxy->optimizer(),
                    proxy->updates_after(state.step));
  if (WeightAverage* average = parts.average) {
    restore_vector(average->values, tensors, "average.values");
    if (average->buffers.defined()) restore_vector(average->buffers, tensors, "average.buffers");
  }
  if (Lookahead* lookahead = parts.lookahead) {
    restore_vector(lookahead->values, tensors, "lookahead.values");
    restore_vector(lookahead->buffers, tensors, "lookahead.buffers");
  }
  return state;
}

}  // namespace passband
