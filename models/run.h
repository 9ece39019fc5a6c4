// A run directory, as `train` writes it and `analyze` reads it:
//   config.toml          everything that was resolved (keys of train/config.h). Read here:
//                        [model] model, classes, image_size, drop_path, dropout;
//                        [data] data, data_dir, data_fraction and shapes_*; [train] seed and what
//                        shapes the loss
//   metrics.jsonl        one object per logged step and per evaluation
//   summary.csv          timm's columns: epoch,train_loss,eval_loss,eval_top1,eval_top5,lr
//   last.safetensors     weights now
//   best.safetensors     weights of the best evaluation (EMA weights when EMA is on)
//   optim.safetensors    all that --resume needs in one file: weights, buffers, optimiser state,
//                        averages; in its metadata the step, the position in the data, the
//                        best metric
//   checkpoints/         epoch-0003.safetensors ...: weights along the run, when it kept them
//   report/              written by `analyze`
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/model.h"

namespace passband {

// runs/ of the project: the nearest `runs` folder, or folder with a Makefile and experiments/, from
// the current directory upwards; else ./runs.
std::filesystem::path runs_directory();
// A path, a name in runs/, a unique prefix of one, or "last". Throws UsageError naming what was
// tried, with near names.
std::filesystem::path find_run(const std::string& run);
// Points runs/last at `run` (a relative symbolic link, replaced atomically).
void set_last_run(const std::filesystem::path& run);

// What is needed to use the network of a run.
struct RunDescription {
  std::filesystem::path directory;
  std::string model, data, data_dir;
  // data = shapes: see ShapesWords in data/shapes.h
  std::string shapes_label, shapes_conflict, shapes_test_conflict;
  int64_t shapes_train = 0, shapes_test = 0, shapes_classes = 0, shapes_seed = 0;
  ModelOptions options;
  int64_t image_size = 32;
  uint64_t seed = 0;
  // How it was trained: what the curvature of its loss depends on.
  double data_fraction = 1;  // of the training pictures
  double val_split = 0;      // of them, held out to choose the best weights
  uint64_t val_seed = 0;
  bool skip_bad_pictures = false;
  // Weight decay as part of the loss. AdamW's is not: it shrinks weights beside the step.
  double loss_decay = 0;
  bool decay_all = false;  // norms, biases and position tables too
  double smoothing = 0;
  int64_t crop_padding = 0, cutout = 0;
  std::string crop_mode = "zero";  // zero, reflect
  double hflip = 0;
  std::string config;  // the text of config.toml
};
RunDescription read_run(const std::filesystem::path& directory);
// The run's network with its weights: "best" (default), "last" or the name of a checkpoint file in
// the directory.
std::unique_ptr<Model> load_run_model(const RunDescription& run, const std::string& which = "best");

// The weights kept along a run, by epoch; epoch 0 is before training.
struct RunCheckpoint {
  int64_t epoch = 0;
  std::string which;  // for load_run_model
};
std::vector<RunCheckpoint> checkpoints(const RunDescription& run);
// "checkpoints/epoch-0003.safetensors", relative to the run.
std::string checkpoint_name(int64_t epoch);

}  // namespace passband
