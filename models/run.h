// A run directory, as `train` writes it and `analyze` reads it:
//   config.toml          every setting as it was resolved, what the pictures were, and by which
//                        commands, when and where it was trained: see models/run_config.h
//   metrics.jsonl        one object per logged step and per evaluation
//   summary.csv          timm's columns: epoch,train_loss,eval_loss,eval_top1,eval_top5,lr
//   last.safetensors     weights now
//   best.safetensors     weights of the best evaluation (EMA weights when EMA is on)
//   optim.safetensors    all that --resume needs in one file: weights, buffers, optimiser state,
//                        averages; in its metadata the step, the position in the data, the
//                        best metric
//   checkpoints/         epoch-0003.safetensors ...: weights along the run, when it kept them
//   report/              written by `analyze`; profile.json by `train --profile`
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/run_config.h"

namespace passband {

// runs/ of the project: the nearest `runs` folder, or folder with a Makefile and experiments/, from
// the current directory upwards; else ./runs.
std::filesystem::path runs_directory();
// A path, a name in runs/, a unique prefix of one, "last" (the run that `train` worked on last) or
// "previous" (of the others in runs/, the newest). Throws UsageError naming what was tried, with
// near names.
std::filesystem::path find_run(const std::string& run);
// Points runs/last at `run`: a relative symbolic link, replaced atomically, or where there can be
// none, a file that holds the path. Throws Error where neither can be made.
void set_last_run(const std::filesystem::path& run);

// What is needed to use the network of a run.
struct RunDescription : RunConfig {
  std::filesystem::path directory;
  std::string text;  // of config.toml
};
// Throws DataError naming the file, and the line or the key that is wrong or missing.
RunDescription read_run(const std::filesystem::path& directory);
// The run's network with its weights: "best" (default), "last" or the name of a checkpoint file in
// the directory.
std::unique_ptr<Model> load_run_model(const RunDescription& run, const std::string& which = "best");

// The file of those weights; where "best" is asked for and not there, that of the last ones. Throws
// DataError that says what was looked for.
std::filesystem::path run_weights(const RunDescription& run, const std::string& which = "best");

// What to tell where that is not the file that was asked for; else nothing.
std::string note_on_weights(const RunDescription& run, const std::string& which = "best");

// The weights kept along a run, by epoch; epoch 0 is before training.
struct RunCheckpoint {
  int64_t epoch = 0;
  std::string which;  // for load_run_model
};
std::vector<RunCheckpoint> checkpoints(const RunDescription& run);
// "checkpoints/epoch-0003.safetensors", relative to the run.
std::string checkpoint_name(int64_t epoch);

}  // namespace passband
