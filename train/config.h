// Everything that defines a training run. Each setting has one name: a key of the TOML file, a
// --flag, a --set key.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"
#include "models/model.h"

namespace passband {

struct TrainConfig {
  // [model]
  std::string model = "alternet";
  double drop_path = 0, dropout = 0;
  // [data]
  std::string data = "cifar10";
  std::string data_dir;
  int64_t img_size = 0;                         // 0: the data set's own
  std::string shapes_label = "shape";           // data = shapes: which cue the label names
  std::string shapes_conflict = "independent";  // or a probability in [0, 1]
  std::string shapes_test_conflict = "same";    // as in training; or as shapes_conflict
  int64_t shapes_train = 10000, shapes_test = 2000, shapes_classes = 10, shapes_seed = 0;
  double data_fraction = 1;  // of the training pictures, the same ones for every seed
  double val_split = 0;      // of the training pictures, held out to choose the best weights
  int64_t val_seed = 0;
  bool skip_bad_pictures = false;
  // [train]
  std::string recipe = "quick";
  int64_t epochs = 10;
  int64_t steps = 0;  // > 0: stop after so many steps (the schedule is that of all epochs)
  int64_t batch_size = 128, eval_batch_size = 500;
  // of an evaluation; 0: all; with steps, as many as they take, 100 at least
  int64_t eval_pictures = 0;
  int64_t eval_interval = 1;  // epochs between evaluations; the last epoch is always evaluated
  // epochs between weights kept in checkpoints/, first and last with them; 0: none
  int64_t checkpoint_interval = 0;
  std::string opt = "sgd";  // sgd (Nesterov), adamw
  double lr = 0.1, momentum = 0.9, weight_decay = 5e-4;
  bool decay_all = false;          // decay norms, biases and position tables too
  std::string sched = "onecycle";  // onecycle, cosine, constant
  double warmup_epochs = 1, min_lr = 0;
  double smoothing = 0;
  double mixup = 0, cutmix = 0;  // alpha of the Beta distribution; 0: off
  double mixup_prob = 1, mixup_switch_prob = 0.5;
  int64_t crop_padding = 4;
  std::string crop_mode = "zero";  // zero, reflect
  double hflip = 0.5;
  int64_t cutout = 0;
  double clip_grad = 0;  // global norm; 0: off
  bool model_ema = false;
  double model_ema_decay = 0.99;
  std::string precision = "auto";  // f32, tf32, bf16, auto (bf16 where it is faster)
  int64_t seed = 42;
  int64_t threads = 0;            // 0: the physical cores
  std::string device = "auto";    // auto, cpu, cuda, cuda:n, cuda-emulated
  bool graph = true;              // on a GPU: record the passes of a step once, launch them as one
  std::string conv = "cudnn";     // on a GPU: native, cudnn, auto (both are timed for each shape)
  std::string matmul = "cublas";  // on a GPU: native, cublas, auto
};

// One setting: where it is written, what it means, what it may be.
struct Setting {
  const char* section;
  const char* key;
  std::variant<std::string TrainConfig::*, int64_t TrainConfig::*, double TrainConfig::*,
               bool TrainConfig::*>
      member;
  const char* help;
  double low = 0, high = 1e18;            // numbers
  std::vector<std::string> choices = {};  // words
};
const std::vector<Setting>& settings();

// Sets one key from text. Throws UsageError naming an unknown key (with the nearest ones), a value
// of the wrong type, or one that is out of range.
void set_value(TrainConfig& config, const std::string& key, const std::string& text);

// Values by key, in the order they are applied.
using Values = std::vector<std::pair<std::string, std::string>>;

// The settings of a recipe for a model family: "quick", or a TOML file with the same sections as
// config.toml and, optionally, tables [family.vit] ... that apply to one family. Throws UsageError
// naming file, line and key.
Values recipe_values(const std::string& recipe, const std::string& family);

// Defaults, then the recipe of the model's family, then `given` (the command line), checked as a
// whole.
TrainConfig resolve(const Values& given);

// As TOML text, every setting written out; and back.
std::string to_toml(const TrainConfig& config, int64_t classes, int64_t image_size);
TrainConfig from_toml(const std::string& text, const std::string& source);

DatasetRequest dataset_request(const TrainConfig& config);
// Type of activations for config.precision on a device.
DType compute_type(const TrainConfig& config, Device device);

}  // namespace passband
