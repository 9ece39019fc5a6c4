// Finding run directories and the networks in them.
#include "models/run.h"

#include <unistd.h>

#include <toml++/toml.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

#include "models/weights.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.toml";

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_run(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / kConfig, error);
}

// Names of the runs in runs/, newest last where the names begin with a time.
std::vector<std::string> run_names(const fs::path& runs) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(runs, error))
    if (is_run(item.path()) && item.path().filename() != "last")
      names.push_back(item.path().filename().string());
  std::ranges::sort(names);
  return names;
}

// A value of config.toml, or `fallback` when it is absent; another type than T's is an error.
template <class T> T setting(const fs::path& file, const toml::table& table,
                             std::string_view section, std::string_view key,
                             std::optional<T> fallback = {}) {
  const auto node = table[section][key];
  if (const auto value = node.value<T>()) return *value;
  if (!node && fallback) return *fallback;
  throw DataError(concat_text(file.string(), ": [", section, "] ", key,
                              node ? " has the wrong type" : " is missing"));
}

}  // namespace

fs::path runs_directory() {
  for (fs::path directory = fs::current_path();; directory = directory.parent_path()) {
    if (is_folder(directory / "runs")) return directory / "runs";
    if (fs::exists(directory / "Makefile") && is_folder(directory / "experiments"))
      return directory / "runs";
    if (directory == directory.parent_path()) return fs::current_path() / "runs";
  }
}

fs::path find_run(const std::string& run) {
  const fs::path runs = runs_directory();
  if (run == "last") {
    if (is_run(runs / "last")) return fs::canonical(runs / "last");
    throw UsageError(
        concat_text("no last run: ", (runs / "last").string(), " leads to none; train one first"));
  }
  if (!run.empty() && is_run(run)) return fs::canonical(run);
  if (!run.empty() && is_run(runs / run)) return fs::canonical(runs / run);
  const std::vector<std::string> names = run_names(runs);
  std::vector<std::string> matches;
  for (const std::string& name : names)
    if (!run.empty() && name.starts_with(run)) matches.push_back(name);
  if (matches.size() == 1) return fs::canonical(runs / matches.front());
  if (matches.size() > 1)
    throw UsageError(concat_text("run ", quote(run), " is ambiguous: ", matches.size(),
                                 " runs begin so, among them ", matches.front(), " and ",
                                 matches.back()));
  if (is_folder(run))
    throw UsageError(concat_text(run, " is no run directory: it has no ", kConfig));
  throw UsageError(concat_text("no run ", quote(run), ", neither as a path nor in ", runs.string(),
                               did_you_mean(run, names)));
}

void set_last_run(const fs::path& run) {
  const fs::path runs = runs_directory();
  const fs::path temporary = runs / concat_text(".last-", ::getpid());
  std::error_code error;
  fs::create_directories(runs, error);
  fs::remove(temporary, error);
  fs::create_directory_symlink(fs::relative(fs::absolute(run), runs), temporary, error);
  if (!error) fs::rename(temporary, runs / "last", error);
  if (error)
    throw Error(concat_text("cannot point ", (runs / "last").string(), " at ", run.string(), ": ",
                            error.message()));
}

RunDescription read_run(const fs::path& directory) {
  const fs::path file = directory / kConfig;
  RunDescription run;
  run.directory = directory;
  run.config = read_file(file.string());
  toml::table table;
  try {
    table = toml::parse(run.config);
  } catch (const toml::parse_error& error) {
    throw DataError(
        concat_text(file.string(), ":", error.source().begin.line, ": ", error.description()));
  }
  run.model = setting<std::string>(file, table, "model", "model");
  run.data = setting<std::string>(file, table, "data", "data");
  run.data_dir = setting<std::string>(file, table, "data", "data_dir", "");
  run.shapes_label = setting<std::string>(file, table, "data", "shapes_label", "shape");
  run.shapes_conflict = setting<std::string>(file, table, "data", "shapes_conflict", "independent");
  run.shapes_test_conflict =
      setting<std::string>(file, table, "data", "shapes_test_conflict", "same");
  run.shapes_classes = setting<int64_t>(file, table, "data", "shapes_classes", 10);
  run.shapes_seed = setting<int64_t>(file, table, "data", "shapes_seed", 0);
  run.shapes_train = setting<int64_t>(file, table, "data", "shapes_train", 10000);
  run.shapes_test = setting<int64_t>(file, table, "data", "shapes_test", 2000);
  run.image_size = setting<int64_t>(file, table, "model", "image_size");
  run.seed = static_cast<uint64_t>(setting<int64_t>(file, table, "train", "seed", 0));
  run.data_fraction = setting<double>(file, table, "data", "data_fraction", 1.0);
  run.val_split = setting<double>(file, table, "data", "val_split", 0.0);
  run.val_seed = static_cast<uint64_t>(setting<int64_t>(file, table, "data", "val_seed", 0));
  run.skip_bad_pictures = setting<bool>(file, table, "data", "skip_bad_pictures", false);
  const bool decoupled = setting<std::string>(file, table, "train", "opt", "sgd") == "adamw";
  run.loss_decay = decoupled ? 0 : setting<double>(file, table, "train", "weight_decay", 0.0);
  run.decay_all = setting<bool>(file, table, "train", "decay_all", false);
  run.smoothing = setting<double>(file, table, "train", "smoothing", 0.0);
  run.crop_padding = setting<int64_t>(file, table, "train", "crop_padding", 0);
  run.cutout = setting<int64_t>(file, table, "train", "cutout", 0);
  run.crop_mode = setting<std::string>(file, table, "train", "crop_mode", "zero");
  run.hflip = setting<double>(file, table, "train", "hflip", 0.0);
  run.options.classes = setting<int64_t>(file, table, "model", "classes");
  run.options.image_size = run.image_size;
  run.options.drop_path = setting<double>(file, table, "model", "drop_path", 0.0);
  run.options.dropout = setting<double>(file, table, "model", "dropout", 0.0);
  run.options.seed = run.seed;
  return run;
}

std::unique_ptr<Model> load_run_model(const RunDescription& run, const std::string& which) {
  std::vector<std::string> tried = {which + ".safetensors", which};
  if (which == "best") tried.insert(tried.begin() + 1, "last.safetensors");
  for (const std::string& name : tried) {
    const fs::path file = run.directory / name;
    std::error_code error;
    if (!fs::is_regular_file(file, error)) continue;
    auto model = make_model(run.model, run.options);
    load_weights(file.string(), *model);
    return model;
  }
  throw DataError(concat_text(run.directory.string(), ": has no weights ", quote(which),
                              " (looked for ", join(tried), ")"));
}

std::string checkpoint_name(int64_t epoch) {
  const std::string digits = std::to_string(epoch);
  return "checkpoints/epoch-" + std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') +
         digits + ".safetensors";
}

std::vector<RunCheckpoint> checkpoints(const RunDescription& run) {
  std::vector<RunCheckpoint> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(run.directory / "checkpoints", error)) {
    const std::string name = item.path().filename().string();
    int64_t epoch = 0;
    if (std::sscanf(name.c_str(), "epoch-%" SCNd64 ".safetensors", &epoch) == 1 &&
        checkpoint_name(epoch) == "checkpoints/" + name)
      found.push_back({epoch, checkpoint_name(epoch)});
  }
  std::ranges::sort(found, {}, &RunCheckpoint::epoch);
  return found;
}

}  // namespace passband
