// The table of settings, and text to value.
#include "train/config.h"

#include <charconv>
#include <cmath>

#include "tensor/core/text.h"

namespace passband {
namespace {

using C = TrainConfig;

const std::vector<Setting> kSettings = {
    {"model", "model", &C::model,
     "name of the network, or a pattern such as CC.CM.CM.CM (see --list models)"},
    {"model", "drop_path", &C::drop_path, "stochastic depth of the last block, linear over depth",
     0, 0.99},
    {"model", "dropout", &C::dropout, "dropout before the classifier", 0, 0.99},
    {"data", "data", &C::data, "a data set (see --list data), or a folder of class folders"},
    {"data", "data_dir", &C::data_dir,
     "where the data set lies (else $PASSBAND_DATA, else data/downloads)"},
    {"data", "img_size", &C::img_size, "side of the pictures in pixels; 0 = the data set's own", 0,
     1024},
    {"data",
     "shapes_label",
     &C::shapes_label,
     "shapes: the cue the label names",
     0,
     0,
     {"shape", "texture"}},
    {"data", "shapes_conflict", &C::shapes_conflict,
     "shapes: how often the cues disagree, 0 to 1, or independent"},
    {"data", "shapes_test_conflict", &C::shapes_test_conflict,
     "shapes: the same in the test pictures, or same"},
    {"data", "shapes_classes", &C::shapes_classes, "shapes: classes", 2, 10},
    {"data", "shapes_seed", &C::shapes_seed, "shapes: which pictures are drawn", 0, 9e15},
    {"data", "data_fraction", &C::data_fraction,
     "share of the training pictures, equal in every class", 1e-6, 1},
    {"data", "val_split", &C::val_split,
     "share of every class's training pictures to hold out: they choose the best weights", 0, 0.9},
    {"data", "val_seed", &C::val_seed, "which ones --val-split holds out", 0, 9e15},
    {"data", "skip_bad_pictures", &C::skip_bad_pictures,
     "a folder: leave unreadable pictures out and count them"},
    {"data", "shapes_train", &C::shapes_train, "shapes: training pictures", 1, 1e7},
    {"data", "shapes_test", &C::shapes_test, "shapes: test pictures", 1, 1e7},
    {"train", "recipe", &C::recipe, "quick, or a TOML file"},
    {"train", "epochs", &C::epochs, "passes over the training pictures", 1, 1e6},
    {"train", "steps", &C::steps, "stop after so many steps; 0 = all epochs", 0, 1e12},
    {"train", "batch_size", &C::batch_size, "pictures per step", 1, 65536},
    {"train", "eval_batch_size", &C::eval_batch_size, "pictures per evaluation batch", 1, 65536},
    {"train", "eval_pictures", &C::eval_pictures,
     "test pictures of an evaluation, always the same ones; 0 = all, with --steps as many as "
     "they take, 100 or more",
     0, 1e12},
    {"train", "eval_interval", &C::eval_interval, "epochs between evaluations", 1, 1e6},
    {"train", "checkpoint_interval", &C::checkpoint_interval,
     "epochs between weights kept in checkpoints/; 0 = none", 0, 1e6},
    {"train", "opt", &C::opt, "optimiser", 0, 0, {"sgd", "adamw"}},
    {"train", "lr", &C::lr, "peak learning rate", 0, 1e3},
    {"train", "momentum", &C::momentum, "of sgd (Nesterov)", 0, 0.9999},
    {"train", "weight_decay", &C::weight_decay, "L2 for sgd, decoupled for adamw", 0, 10},
    {"train", "decay_all", &C::decay_all,
     "decay norms, biases and position tables too (as Park & Kim)"},
    {"train",
     "sched",
     &C::sched,
     "learning-rate schedule",
     0,
     0,
     {"onecycle", "cosine", "constant"}},
    {"train", "warmup_epochs", &C::warmup_epochs, "linear warm-up", 0, 1e6},
    {"train", "min_lr", &C::min_lr, "learning rate at the end", 0, 1e3},
    {"train", "smoothing", &C::smoothing, "label smoothing", 0, 0.99},
    {"train", "mixup", &C::mixup, "mixup alpha; 0 = off", 0, 100},
    {"train", "cutmix", &C::cutmix, "cutmix alpha; 0 = off", 0, 100},
    {"train", "mixup_prob", &C::mixup_prob, "share of batches that are mixed", 0, 1},
    {"train", "mixup_switch_prob", &C::mixup_switch_prob,
     "of these, share that use cutmix when both are on", 0, 1},
    {"train", "crop_padding", &C::crop_padding, "pixels added on each side before the random crop",
     0, 256},
    {"train", "crop_mode", &C::crop_mode, "what the padding holds", 0, 0, {"zero", "reflect"}},
    {"train", "hflip", &C::hflip, "probability of a horizontal flip", 0, 1},
    {"train", "cutout", &C::cutout, "side of a blanked square; 0 = off", 0, 1024},
    {"train", "clip_grad", &C::clip_grad, "largest global gradient norm; 0 = off", 0, 1e9},
    {"train", "model_ema", &C::model_ema, "evaluate an exponential moving average of the weights"},
    {"train", "model_ema_decay", &C::model_ema_decay, "decay of that average per step", 0, 1},
    {"train",
     "precision",
     &C::precision,
     "type of activations",
     0,
     0,
     {"auto", "f32", "tf32", "bf16"}},
    {"train", "seed", &C::seed, "of weights, order, augmentation, dropout", 0, 9e15},
    {"train", "threads", &C::threads,
     "processor threads; 0 = OMP_NUM_THREADS, or the physical cores", 0, 1024},
    {"train", "device", &C::device, "where to compute: auto, cpu, cuda, cuda:n, cuda-emulated"},
    {"train", "graph", &C::graph, "on a GPU: record the passes of a step once, launch them as one"},
    {"train",
     "conv",
     &C::conv,
     "on a GPU: whose convolutions; auto: the faster ones, timed",
     0,
     0,
     {"native", "cudnn", "auto"}},
    {"train",
     "matmul",
     &C::matmul,
     "on a GPU: whose products; auto: the faster ones, timed",
     0,
     0,
     {"native", "cublas", "auto"}},
};

const Setting& setting(const std::string& key) {
  std::vector<std::string> keys;
  for (const Setting& candidate : settings()) {
    if (candidate.key == key) return candidate;
    keys.emplace_back(candidate.key);
  }
  throw UsageError("unknown setting '" + key + "' (--list settings shows all)" +
                   did_you_mean(key, keys));
}

template <class T> T parse_number(const Setting& s, const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw UsageError(concat_text(s.key, ": '", text, "' is not ",
                                 std::is_integral_v<T> ? "a whole number" : "a number"));
  if (!(static_cast<double>(value) >= s.low && static_cast<double>(value) <= s.high))
    throw UsageError(concat_text(s.key, ": ", text, " is outside ", s.low, " to ", s.high));
  return value;
}

bool parse_bool(const Setting& s, const std::string& text) {
  if (text == "true" || text == "1" || text == "on") return true;
  if (text == "false" || text == "0" || text == "off") return false;
  throw UsageError(concat_text(s.key, ": '", text, "' is neither true nor false"));
}

std::string parse_word(const Setting& s, const std::string& text) {
  if (!s.choices.empty() && std::ranges::find(s.choices, text) == s.choices.end())
    throw UsageError(concat_text(s.key, ": '", text, "' is not one of ", join(s.choices),
                                 did_you_mean(text, s.choices)));
  return text;
}

}  // namespace

const std::vector<Setting>& settings() { return kSettings; }

void set_value(TrainConfig& config, const std::string& key, const std::string& text) {
  const Setting& s = setting(key);
  std::visit(
      [&](auto member) {
        using T = std::remove_reference_t<decltype(config.*member)>;
        if constexpr (std::is_same_v<T, bool>) config.*member = parse_bool(s, text);
        else if constexpr (std::is_same_v<T, std::string>) config.*member = parse_word(s, text);
        else config.*member = parse_number<T>(s, text);
      },
      s.member);
}

TrainConfig resolve(const Values& given) {
  TrainConfig config;
  for (const auto& [key, text] : given) set_value(config, key, text);
  TrainConfig resolved;
  for (const auto& [key, text] : recipe_values(config.recipe, family_of(config.model)))
    set_value(resolved, key, text);
  for (const auto& [key, text] : given) set_value(resolved, key, text);
  dataset_request(resolved);
  if (resolved.warmup_epochs > static_cast<double>(resolved.epochs))
    throw UsageError(concat_text("warmup_epochs: ", resolved.warmup_epochs,
                                 " is more than epochs, ", resolved.epochs));
  if (resolved.min_lr > resolved.lr)
    throw UsageError(concat_text("min_lr: ", resolved.min_lr, " is more than lr, ", resolved.lr));
  return resolved;
}

DatasetRequest dataset_request(const TrainConfig& config) {
  DatasetRequest request;
  request.name = config.data;
  request.data_dir = config.data_dir;
  request.image_size = config.img_size;
  request.val_split = config.val_split;
  request.val_seed = static_cast<uint64_t>(config.val_seed);
  request.skip_bad_pictures = config.skip_bad_pictures;
  request.shapes = shapes_options({.label = config.shapes_label,
                                   .conflict = config.shapes_conflict,
                                   .test_conflict = config.shapes_test_conflict,
                                   .train_count = config.shapes_train,
                                   .test_count = config.shapes_test,
                                   .classes = config.shapes_classes,
                                   .seed = static_cast<uint64_t>(config.shapes_seed)});
  return request;
}

}  // namespace passband
