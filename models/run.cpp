// Finding run directories and the networks in them.
#include "models/run.h"

#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

#include "models/run_files.h"
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
    if (const std::string name = item.path().filename().string();
        is_run(item.path()) && name != "last" && !name.starts_with('.'))
      names.push_back(name);
  std::ranges::sort(names);
  return names;
}

// The run that runs/last leads to: itself, a link to one, or a file that holds its path.
std::optional<fs::path> last_run(const fs::path& runs) {
  const fs::path last = runs / "last";
  std::error_code error;
  if (is_run(last)) return fs::canonical(last, error);
  if (!fs::is_regular_file(last, error)) return {};
  const std::string text = read_file(last.string());
  const fs::path named = runs / text.substr(0, text.find('\n'));
  if (!is_run(named)) return {};
  return fs::canonical(named, error);
}

// By the time in their names.
fs::path previous_run(const fs::path& runs) {
  const std::optional<fs::path> last = last_run(runs);
  const std::vector<std::string> names = run_names(runs);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const fs::path run = fs::canonical(runs / *name);
    if (!last || run != *last) return run;
  }
  throw UsageError(concat_text("no previous run: ", runs.string(), " holds none but the last"));
}

[[noreturn]] void throw_ambiguous(const std::string& run, const std::vector<std::string>& matches) {
  constexpr size_t kShown = 3;
  std::vector<std::string> newest(matches.rbegin(),
                                  matches.rbegin() + std::min(kShown, matches.size()));
  if (matches.size() > kShown) newest.emplace_back("...");
  throw UsageError(concat_text("run ", quote(run), " is ambiguous: ", matches.size(),
                               " runs begin so (", join(newest),
                               "); give more of the name, or say last or previous"));
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
    if (const auto last = last_run(runs)) return *last;
    throw UsageError(concat_text(
        "no last run: ", (runs / "last").string(), " leads to none; ",
        run_names(runs).empty() ? "train one first" : "name one (./train --runs shows them)"));
  }
  if (!run.empty() && is_run(run)) return fs::canonical(run);
  if (!run.empty() && is_run(runs / run)) return fs::canonical(runs / run);
  if (run == "previous") return previous_run(runs);
  const std::vector<std::string> names = run_names(runs);
  std::vector<std::string> matches;
  for (const std::string& name : names)
    if (!run.empty() && name.starts_with(run)) matches.push_back(name);
  if (matches.size() == 1) return fs::canonical(runs / matches.front());
  if (matches.size() > 1) throw_ambiguous(run, matches);
  if (is_folder(run))
    throw UsageError(concat_text(run, " is no run directory: it has no ", kConfig));
  throw UsageError(concat_text("no run ", quote(run), ", neither as a path nor in ", runs.string(),
                               did_you_mean(run, names)));
}

void set_last_run(const fs::path& run) {
  const fs::path runs = runs_directory(), last = runs / "last";
  const fs::path temporary = runs / concat_text(".last-", ::getpid());
  std::error_code error;
  fs::create_directories(runs, error);
  fs::remove(temporary, error);
  const fs::path target = fs::relative(fs::absolute(run), runs, error);
  fs::create_directory_symlink(target, temporary, error);
  if (error) {
    write_file_atomically(last.string(), target.string() + "\n");
    return;
  }
  fs::rename(temporary, last, error);
  if (!error) return;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  throw Error(
      concat_text("cannot point ", last.string(), " at ", run.string(), ": ", error.message()));
}

RunDescription read_run(const fs::path& directory) {
  const fs::path file = directory / kConfig;
  RunDescription run;
  run.directory = directory;
  run.text = read_run_file(directory, kConfig);
  static_cast<RunConfig&>(run) = run_config_from(run.text, file.string());
  return run;
}

fs::path run_weights(const RunDescription& run, const std::string& which) {
  std::vector<std::string> tried = {which + ".safetensors", which};
  if (which == "best") tried.insert(tried.begin() + 1, "last.safetensors");
  for (const std::string& name : tried) {
    const fs::path file = run.directory / name;
    std::error_code error;
    if (fs::is_regular_file(file, error)) return file;
  }
  if (which == "best")
    throw DataError(concat_text(run.directory.string(),
                                ": has no weights: it was stopped before "
                                "its first save; ./train --recipe ",
                                run.directory.string(), " begins it again"));
  throw DataError(concat_text(run.directory.string(), ": has no weights ", quote(which),
                              " (looked for ", join(tried), ")"));
}

std::string note_on_weights(const RunDescription& run, const std::string& which) {
  const std::string found = run_weights(run, which).filename().string();
  if (which != "best" || found == "best.safetensors") return {};
  return concat_text(run.directory.string(), ": has no best.safetensors, as before its first ",
                     "evaluation; its last weights stand for it");
}

std::unique_ptr<Model> load_run_model(const RunDescription& run, const std::string& which) {
  const fs::path file = run_weights(run, which);
  auto model = make_model(run.settings.model, run.model_options());
  load_weights(file.string(), *model);
  return model;
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
