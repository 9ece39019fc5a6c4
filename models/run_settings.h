// RunSettings: everything that defines a training run. Each setting has one name, which is a key of
// config.toml and of recipes, a --flag and a --set key, and one row in one table, from which
// `train` takes its command line and writes config.toml, and `analyze` reads it.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "models/model.h"

namespace passband {

// sgd: Nesterov; momentum: SGD without
enum class OptimizerKind { sgd, adamw, sam, momentum, muon, lars, lamb };
// That takes SAM's steps, or those of what is not Muon's.
enum class BaseOptimizerKind { sgd, adamw };
enum class ScheduleKind { onecycle, cosine, constant, multistep, linear, trapezoid };
// How a training picture is cropped: pad: at a random place of the padded picture; rrc:
// RandomResizedCrop; automatic: rrc where the stored pictures are larger than the network's.
enum class CropKind { automatic, pad, rrc };

// Which training pictures are mirrored: by chance (hflip), or each in every second epoch.
enum class FlipKind { random, alternating };
// More views of an evaluated picture, whose logits are averaged (train/views.h).
enum class TtaKind { none, flip, shift };

// Two numbers, of a range or a pair: "0.08 1".
struct NumberPair {
  double low = 0, high = 0;
};

// The words of an enumeration's values, in their order.
template <class E> struct SettingWords;
template <> struct SettingWords<OptimizerKind> {
  static constexpr std::array<std::string_view, 7> all = {"sgd",  "adamw", "sam", "momentum",
                                                          "muon", "lars",  "lamb"};
};
template <> struct SettingWords<BaseOptimizerKind> {
  static constexpr std::array<std::string_view, 2> all = {"sgd", "adamw"};
};
template <> struct SettingWords<StemKind> {
  static constexpr std::array<std::string_view, 3> all = {"auto", "cifar", "imagenet"};
};
template <> struct SettingWords<CropKind> {
  static constexpr std::array<std::string_view, 3> all = {"auto", "pad", "rrc"};
};
template <> struct SettingWords<FlipKind> {
  static constexpr std::array<std::string_view, 2> all = {"random", "alternating"};
};
template <> struct SettingWords<TtaKind> {
  static constexpr std::array<std::string_view, 3> all = {"none", "flip", "shift"};
};
template <> struct SettingWords<TrainInterpolation> {
  static constexpr std::array<std::string_view, 4> all = {"auto", "bilinear", "bicubic", "random"};
};
template <> struct SettingWords<EraseMode> {
  static constexpr std::array<std::string_view, 3> all = {"const", "rand", "pixel"};
};
template <> struct SettingWords<ScheduleKind> {
  static constexpr std::array<std::string_view, 6> all = {"onecycle",  "cosine", "constant",
                                                          "multistep", "linear", "trapezoid"};
};
template <> struct SettingWords<CropMode> {
  static constexpr std::array<std::string_view, 2> all = {"zero", "reflect"};
};
template <class E> std::string_view word_of(E value) {
  return SettingWords<E>::all.at(static_cast<size_t>(value));
}

struct RunSettings {
  // [model]
  std::string model = "alternet";
  StemKind stem = StemKind::automatic;
  double drop_path = 0, dropout = 0;
  double bn_momentum = 0, bn_eps = 0;  // 0: the network's own
  bool bn_fixed_scale = false;
  // Where the weights begin: a file, or a run. Both empty: at random.
  std::string weights, pretrained_from;
  // How they begin at random (models/initial_values.h).
  std::string init = "standard", positions = "standard";
  // [data]
  std::string data = "cifar10";
  std::string data_dir;
  int64_t img_size = 0;                         // 0: the data set's own
  std::string shapes_label = "shape";           // data = shapes: which cue the label names
  std::string shapes_conflict = "independent";  // or a probability in [0, 1]
  std::string shapes_test_conflict = "same";    // as in training; or as shapes_conflict
  int64_t shapes_train = 10000, shapes_test = 2000, shapes_classes = 10, shapes_seed = 0;
  // How the network sees pictures: empty, 0 and auto leave it to the data set, or to the weights
  // that a run begins from.
  std::string mean, std;
  double crop_pct = 0;
  std::string interpolation = "auto";
  double data_fraction = 1;  // of the training pictures, the same ones for every seed
  double val_split = 0;      // of the training pictures, held out to choose the best weights
  int64_t val_seed = 0;
  bool skip_bad_pictures = false;
  int64_t shuffle_buffer = 0;  // pictures of tar shards, held to draw from; 0: an order of all
  // [train]
  std::string recipe = "quick";
  double epochs = 10;  // the last one may be a part, to the nearest step
  // > 0: of training; `train` puts the epochs that fit in its place, so that no run that has begun
  // has it
  double minutes = 0;
  int64_t steps = 0;  // > 0: stop after so many steps (the schedule is that of all epochs)
  int64_t batch_size = 128, eval_batch_size = 500;
  // of an evaluation; 0: all; with steps, as many as they take, 100 at least
  int64_t eval_pictures = 0;
  TtaKind tta = TtaKind::none;
  int64_t eval_interval = 1;  // epochs between evaluations; the last epoch is always evaluated
  // epochs between weights kept in checkpoints/, first and last with them; 0: none
  int64_t checkpoint_interval = 0;
  double save_minutes = 5;       // most that a kill can cost; 0: saved where it is evaluated, only
  int64_t grad_accum_steps = 1;  // batches of batch_size whose gradients make one step
  // Share of every batch, that of the largest losses, which the network learns from; 1: all. What
  // chooses it is another network, which learns in one of so many steps.
  double select_hard = 1;
  std::string proxy = "airbench_32_64_64";
  int64_t proxy_interval = 4;
  // That a step has a batch for: it takes batch_size * processes pictures, however many processes
  // are there to share them.
  int64_t processes = 1;
  bool sync_bn = false;        // statistics of batch norms over all processes
  bool deterministic = false;  // sums over pictures are added by one tree (batch_parts.h)
  double stall_seconds = 45;   // that a process may keep the others waiting; 0: for ever
  OptimizerKind opt = OptimizerKind::sgd;
  BaseOptimizerKind sam_base = BaseOptimizerKind::sgd;
  double sam_rho = 0.05;
  BaseOptimizerKind muon_rest = BaseOptimizerKind::sgd;
  double muon_lr = 0.02, muon_momentum = 0.95, muon_weight_decay = 0;
  int64_t muon_steps = 5;     // of Newton-Schulz
  bool muon_rescale = false;  // matrices keep the norm sqrt(rows)
  double lars_trust = 0.001;
  double lr = 0.1, momentum = 0.9, weight_decay = 5e-4;
  double lr_per = 0;  // pictures learned from that lr, min_lr, weight_decay are of; 0: a step
  double bias_lr_scale = 1;    // of the biases of batch norms
  double layer_decay = 1;      // of lr, from the classifier down; 1: one rate for all
  double warmup_momentum = 0;  // of sgd, where the warm-up begins; 0: momentum from the start
  std::string freeze;          // beginnings of names, separated by commas
  bool head_only = false;      // train the classifier alone
  bool whiten = false;         // the first layer, from the training pictures (models/whitening.h)
  double whiten_bias_epochs = 3;  // in which its bias still learns
  double whiten_bias_lr = 0;      // from where it falls to 0 in these epochs; 0: as the others
  bool decay_all = false;         // decay norms, biases and position tables too
  ScheduleKind sched = ScheduleKind::onecycle;
  double warmup_epochs = 1, min_lr = 0;
  // Of the epochs; > 0: `train` puts what they come to in the place of warmup_epochs.
  double warmup_fraction = 0;
  double warmup_start = 0;                      // of lr, where the warm-up begins
  double decay_fraction = 0.2;                  // of the steps, over which a trapezoid falls
  double final_fraction = 0;                    // of lr, where linear and trapezoid end
  std::string decay_milestones = "60 120 160";  // of multistep, in epochs
  double decay_rate = 0.1;                      // of the learning rate at each of them
  double smoothing = 0;
  bool bce_loss = false;
  double bce_target_thresh = 0;  // > 0: targets above it become 1, all others 0
  double mixup = 0, cutmix = 0;  // alpha of the Beta distribution; 0: off
  double mixup_prob = 1, mixup_switch_prob = 0.5;
  int64_t progressive_resize = 0;  // side of the first training pictures; 0: that of all
  int64_t crop_padding = 4;
  CropMode crop_mode = CropMode::zero;
  double hflip = 0.5;
  FlipKind flip = FlipKind::random;
  int64_t cutout = 0;
  CropKind train_crop_mode = CropKind::automatic;
  NumberPair scale = {0.08, 1}, ratio = {3.0 / 4, 4.0 / 3};  // of rrc
  TrainInterpolation train_interpolation = TrainInterpolation::automatic;
  std::string aa;  // data/auto_augment.h; empty: none
  double color_jitter = 0;
  double brightness = 0, contrast = 0;  // of normalised pixels
  double reprob = 0;                    // random erasing
  EraseMode remode = EraseMode::constant;
  int64_t recount = 1;
  int64_t aug_repeats = 1;
  double clip_grad = 0;  // global norm; 0: off
  bool model_ema = false;
  double model_ema_decay = 0.99;
  bool lookahead = false;
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
  std::variant<std::string RunSettings::*, int64_t RunSettings::*, double RunSettings::*,
               bool RunSettings::*, NumberPair RunSettings::*, OptimizerKind RunSettings::*,
               BaseOptimizerKind RunSettings::*, ScheduleKind RunSettings::*,
               CropMode RunSettings::*, CropKind RunSettings::*, TrainInterpolation RunSettings::*,
               EraseMode RunSettings::*, FlipKind RunSettings::*, TtaKind RunSettings::*,
               StemKind RunSettings::*>
      member;
  const char* help;
  double low = 0, high = 1e18;            // numbers
  std::vector<std::string> choices = {};  // of a text; empty: any. Enumerations have their words.

  bool is_flag() const { return std::holds_alternative<bool RunSettings::*>(member); }
  bool is_pair() const { return std::holds_alternative<NumberPair RunSettings::*>(member); }
};
const std::vector<Setting>& settings();
// What a setting may be, where that is one of a few words; else nothing.
std::vector<std::string> choices_of(const Setting& setting);

// Sets one key from text. Throws UsageError naming an unknown key (with the nearest ones), a value
// of the wrong type, or one that is out of range.
void set_value(RunSettings& settings, const std::string& key, const std::string& text);
// The text that set_value reads back as the same value, bit for bit.
std::string value_text(const RunSettings& settings, const Setting& setting);

// The epochs of decay_milestones, rising. Throws UsageError.
std::vector<double> milestones_of(const RunSettings& settings);
// How the pictures of a run are prepared, as far as the settings say. Throws UsageError.
Preprocessing preprocessing_of(const RunSettings& settings);
// Crops, flips and operations of a run's training pictures, which are `stored_side` pixels or more
// and come to the network as image_size.
AugmentOptions augment_options(const RunSettings& settings, int64_t stored_side,
                               int64_t image_size);
// The pictures of a run.
DatasetRequest dataset_request(const RunSettings& settings);
// Looks for them in `data_dir`, where that is given: for a folder, it may be the folder itself or
// hold it. Else a known set that the search does not find is looked for where it was, `known`.
void move_pictures(RunSettings& settings, const std::string& data_dir, const std::string& known);

}  // namespace passband
