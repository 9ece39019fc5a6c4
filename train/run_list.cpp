#include "train/run_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <tuple>

#include "models/weights.h"
#include "tensor/core/text.h"
#include "train/run_lock.h"
#include "train/say.h"

namespace passband {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

// As the last save left it; nothing before the first one.
void add_state(const fs::path& run, RunRow& row) {
  const fs::path file = run / "optim.safetensors";
  if (!fs::exists(file)) return;
  const Metadata metadata = read_metadata(file.string());
  const auto found = metadata.find("state");
  const Json state = Json::parse(found == metadata.end() ? "" : found->second, nullptr, false);
  if (state.is_discarded()) throw DataError(file.string() + ": holds no training state");
  row.step = state.value("step", int64_t{0});
  row.epochs = state.value("epoch", int64_t{0});
  row.top1 = state.value("best_top1", -1.0);
  row.tta = state.value("best_tta", -1.0);
  row.seconds = state.value("seconds", 0.0);
}

std::string short_name(const std::string& path) {
  return path.starts_with('/') ? fs::path(path).filename().string() : path;
}

RunRow row_of(const fs::path& run) {
  RunRow row{.name = run.filename().string()};
  try {
    const RunDescription description = read_run(run);
    add_state(run, row);
    const RunSettings& s = description.settings;
    row.data = short_name(s.data);
    row.model = s.model;
    row.recipe = s.recipe.ends_with("config.toml") ? "repeats a run" : short_name(s.recipe);
    row.planned_epochs = s.epochs;
    row.date = description.sessions.front().date;
  } catch (const std::exception& error) {
    return {.name = run.filename().string(), .fault = one_line(error.what())};
  }
  return row;
}

bool is_run_folder(const fs::path& path) {
  const std::string name = path.filename().string();
  std::error_code error;
  return name != "last" && !name.starts_with('.') && fs::is_directory(path, error);
}

// A run, or what is left of one that was stopped while it began.
bool holds_run_files(const fs::path& folder) {
  return fs::is_empty(folder) ||
         std::ranges::any_of(
             std::array{"config.toml", "metrics.jsonl", "optim.safetensors", "last.safetensors"},
             [&](const char* file) { return fs::exists(folder / file); });
}

Json to_json(const RunRow& row) {
  if (!row.fault.empty()) return {{"run", row.name}, {"fault", row.fault}};
  return {{"run", row.name},
          {"data", row.data},
          {"model", row.model},
          {"recipe", row.recipe},
          {"epochs", row.epochs},
          {"planned_epochs", row.planned_epochs},
          {"step", row.step},
          {"top1", row.top1 < 0 ? Json() : Json(row.top1)},
          {"tta_top1", row.tta < 0 ? Json() : Json(row.tta)},
          {"train_seconds", row.seconds},
          {"date", row.date}};
}

std::string cut(const std::string& text, size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 2) + "..";
}

std::string percent(double share) { return share < 0 ? "-" : fmt::format("{:.2f} %", 100 * share); }
std::string accuracy_text(const RunRow& row) { return percent(row.top1); }

std::string epochs_text(const RunRow& row) {
  return fmt::format("{}/{:.4g}", row.epochs, row.planned_epochs);
}

void print_dump(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

// Whether runs/last leads to the run, as a link or as a file.
bool is_last(const fs::path& runs, const fs::path& run) {
  std::error_code error;
  if (fs::equivalent(runs / "last", run, error)) return true;
  try {
    return fs::equivalent(find_run("last"), run, error);
  } catch (const UsageError&) {
    return false;  // it leads nowhere
  }
}

// To the newest run that is left, by when it began; away, where there is none.
void point_last_elsewhere(const fs::path& runs) {
  std::vector<RunRow> rows = list_runs(runs);
  std::erase_if(rows, [](const RunRow& row) { return !row.fault.empty(); });
  std::error_code error;
  fs::remove(runs / "last", error);
  if (rows.empty()) return;
  const auto newest = std::ranges::max_element(
      rows, {}, [](const RunRow& row) { return std::tie(row.date, row.name); });
  set_last_run(runs / newest->name);
  print_line("the last run is " + newest->name + " now");
}

// A setting or a result that two runs do not share.
struct Difference {
  std::string key, a, b;
};

std::vector<Difference> differences(const std::string& a, const std::string& b) {
  const fs::path run_a = find_run(a), run_b = find_run(b);
  const RunDescription first = read_run(run_a), second = read_run(run_b);
  std::vector<Difference> all;
  const auto add = [&](const std::string& key, const std::string& x, const std::string& y) {
    if (x != y) all.push_back({key, x, y});
  };
  const RunRow row_a = row_of(run_a), row_b = row_of(run_b);
  add("best top-1", accuracy_text(row_a), accuracy_text(row_b));
  add("with TTA", percent(row_a.tta), percent(row_b.tta));
  add("epochs trained", fmt::format("{}", row_a.epochs), fmt::format("{}", row_b.epochs));
  add("time", format_duration(row_a.seconds), format_duration(row_b.seconds));
  for (const Setting& s : settings())
    add(s.key, value_text(first.settings, s), value_text(second.settings, s));
  const std::string pictures = difference(first.data, second.data);
  if (!pictures.empty()) all.push_back({"pictures", "", pictures});
  add("machine", first.sessions.back().machine, second.sessions.back().machine);
  return all;
}

}  // namespace

std::vector<RunRow> list_runs(const fs::path& runs) {
  std::vector<RunRow> rows;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(runs, error))
    if (is_run_folder(item.path())) rows.push_back(row_of(item.path()));
  const auto order = [](const RunRow& row) {
    return std::make_tuple(!row.fault.empty(), -row.top1, row.name);
  };
  std::ranges::sort(rows, {}, order);
  return rows;
}

void print_runs(bool json) {
  const fs::path runs = runs_directory();
  const std::vector<RunRow> rows = list_runs(runs);
  if (json) {
    Json list = Json::array();
    for (const RunRow& row : rows) list.push_back(to_json(row));
    return print_dump(list);
  }
  if (rows.empty()) return fmt::print("no runs in {}; ./train makes one\n", runs.string());
  const auto line = [](const auto&... cells) {
    fmt::print("{:>8} {:>8}  {:<10} {:<22} {:<14} {:>9} {:>9}  {}\n", cells...);
  };
  line("top-1", "with TTA", "data", "model", "recipe", "epochs", "time", "run");
  for (const RunRow& row : rows)
    if (row.fault.empty())
      line(accuracy_text(row), percent(row.tta), cut(row.data, 10), cut(row.model, 22),
           cut(row.recipe, 14), epochs_text(row), format_duration(row.seconds), row.name);
  for (const RunRow& row : rows)
    if (!row.fault.empty()) fmt::print("can not be read: {}: {}\n", row.name, row.fault);
}

void print_comparison(const std::string& a, const std::string& b, bool json) {
  const std::vector<Difference> all = differences(a, b);
  if (json) {
    Json object = Json::object();
    for (const Difference& d : all) object[d.key] = {d.a, d.b};
    return print_dump(object);
  }
  if (all.empty()) return fmt::print("{} and {}: the same in everything\n", a, b);
  fmt::print("{:<20} {:<30} {}\n", "", cut(a, 30), b);
  for (const Difference& d : all) fmt::print("{:<20} {:<30} {}\n", d.key, cut(d.a, 30), d.b);
}

void delete_run(const std::string& name) {
  const fs::path runs = runs_directory(), run = runs / name;
  std::vector<std::string> names;
  for (const RunRow& row : list_runs(runs)) names.push_back(row.name);
  if (std::ranges::find(names, name) == names.end())
    throw UsageError(fmt::format("--delete: {} is not the whole name of a run in {}{}", quote(name),
                                 runs.string(), did_you_mean(name, names)));
  const RunRow row = row_of(run);
  if (!holds_run_files(run))
    throw UsageError(
        fmt::format("--delete: {} holds no file of a run; it is left as it is, delete "
                    "it yourself",
                    run.string()));
  const bool was_last = is_last(runs, run);
  std::error_code error;
  {
    const RunLock nobody_else(run);
    fs::remove_all(run, error);
  }
  if (error) throw Error(fmt::format("{}: can not be deleted: {}", run.string(), error.message()));
  print_line(fmt::format("deleted {} ({}, {}, {} epochs)", run.string(), row.model,
                         accuracy_text(row), epochs_text(row)));
  if (was_last) point_last_elsewhere(runs);
}

}  // namespace passband
