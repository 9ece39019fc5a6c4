// The table of settings, and text to value.
#include "models/run_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "data/shard_names.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

using C = RunSettings;

const std::vector<Setting> kSettings = {
    {"model", "model", &C::model,
     "name of the network, or a pattern such as CC.CM.CM.CM (see --list models)"},
    {"model", "stem", &C::stem,
     "how networks of convolutions begin: cifar: one 3x3; imagenet: 7x7 of stride 2 and a "
     "max-pool, which ImageNet's weights need on small pictures too; auto = by the pictures' side"},
    {"model", "drop_path", &C::drop_path, "stochastic depth of the last block, linear over depth",
     0, 0.99},
    {"model", "dropout", &C::dropout, "dropout before the classifier", 0, 0.99},
    {"model", "bn_momentum", &C::bn_momentum,
     "share of a new batch in the running statistics of batch norms, as timm's; 0 = the network's "
     "own, mostly 0.1",
     0, 1},
    {"model", "bn_eps", &C::bn_eps,
     "what batch norms add to the variance; 0 = the network's own, mostly 1e-5", 0, 1},
    {"model", "bn_fixed_scale", &C::bn_fixed_scale,
     "batch norms without a scale: it stays 1, the shift learns (Jordan 2024, airbench)"},
    {"model", "weights", &C::weights,
     "file to begin from (timm's, torchvision's, ...), fitted to the classes and the pictures"},
    {"model", "pretrained_from", &C::pretrained_from,
     "run to begin from, its best weights fitted likewise"},
    {"model", "init", &C::init,
     "how random weights begin: standard, or dirac (convolutions after the first as the identity), "
     "mimetic (attention as trained attention looks: queries like keys) or structured (attention "
     "as a convolution, by positions); dirac,mimetic = both"},
    {"model",
     "positions",
     &C::positions,
     "how tables of positions begin; sincos: as waves of both coordinates",
     0,
     0,
     {"standard", "sincos"}},
    {"data", "data", &C::data,
     "a data set (see --list data), a folder of class folders, or tar shards "
     "(DIR/train-{000..127}.tar)"},
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
    {"data", "mean", &C::mean,
     "of pixels in [0, 1], one number or three: 0.5, or 0.485,0.456,0.406; empty = as the weights "
     "to begin from know it, else the data set's"},
    {"data", "std", &C::std, "their deviation, likewise"},
    {"data", "crop_pct", &C::crop_pct,
     "test pictures: side of the crop relative to the shorter side, with a filter; 0 = 0.875", 0,
     1},
    {"data",
     "interpolation",
     &C::interpolation,
     "test pictures: Pillow's filter, as timm and torchvision test; auto = our own",
     0,
     0,
     {"auto", "bilinear", "bicubic"}},
    {"data", "data_fraction", &C::data_fraction,
     "share of the training pictures, equal in every class", 1e-6, 1},
    {"data", "val_split", &C::val_split,
     "share of every class's training pictures to hold out: they choose the best weights", 0, 0.9},
    {"data", "val_seed", &C::val_seed, "which ones --val-split holds out", 0, 9e15},
    {"data", "skip_bad_pictures", &C::skip_bad_pictures,
     "a folder or shards: leave unreadable pictures out and count them"},
    {"data", "shuffle_buffer", &C::shuffle_buffer,
     "tar shards are read one after the other, and so many pictures of all processes are held to "
     "draw the next one from: for disks and networks that are slow at random places; 0 = an order "
     "of all pictures, each read in its place",
     0, 1e9},
    {"data", "shapes_train", &C::shapes_train, "shapes: training pictures", 1, 1e7},
    {"data", "shapes_test", &C::shapes_test, "shapes: test pictures", 1, 1e7},
    {"train", "recipe", &C::recipe,
     "a name (--list recipes), a TOML file, or a run (its name or config.toml), which is then "
     "repeated"},
    {"train", "epochs", &C::epochs,
     "passes over the training pictures; the last one may be a part (0.25, 1.7)", 1e-9, 1e6},
    {"train", "minutes", &C::minutes,
     "time for training, evaluation not counted, in place of epochs: as many as the first steps "
     "say, then as the warm-up says; from its end on they stay, and config.toml holds them; 0 = as "
     "many epochs as given",
     0, 1e6},
    {"train", "steps", &C::steps, "stop after so many steps; 0 = all epochs", 0, 1e12},
    {"train", "batch_size", &C::batch_size, "pictures per step", 1, 65536},
    {"train", "eval_batch_size", &C::eval_batch_size, "pictures per evaluation batch", 1, 65536},
    {"train", "eval_pictures", &C::eval_pictures,
     "test pictures of an evaluation, always the same ones; 0 = all, with --steps as many as "
     "they take, 100 or more",
     0, 1e12},
    {"train", "tta", &C::tta,
     "at evaluation, beside the plain numbers, those of logits averaged over the picture and its "
     "mirror image (flip), and over one pixel up-left and down-right too (shift: 6 views; Jordan "
     "2024, airbench)"},
    {"train", "eval_interval", &C::eval_interval, "epochs between evaluations", 1, 1e6},
    {"train", "checkpoint_interval", &C::checkpoint_interval,
     "epochs between weights kept in checkpoints/; 0 = none", 0, 1e6},
    {"train", "save_minutes", &C::save_minutes,
     "most minutes between saves, which is what a kill can cost; 0 = at evaluations only", 0, 1e6},
    {"train", "grad_accum_steps", &C::grad_accum_steps,
     "batches whose gradients are added up for one step, so that it sees as many pictures as "
     "memory does not hold",
     1, 65536},
    {"train", "select_hard", &C::select_hard,
     "share of every batch that the network learns from: the pictures that --proxy gets most wrong "
     "(0.5: as airbench96_faster); 1 = all of it",
     0.01, 1},
    {"train", "proxy", &C::proxy,
     "with --select-hard: the small network that chooses; it learns beside, by the same settings, "
     "and is not kept"},
    {"train", "proxy_interval", &C::proxy_interval,
     "steps of which the proxy learns in one; 4: as airbench96_faster", 1, 1e6},
    {"train", "processes", &C::processes,
     "processes, each with batches of --batch-size, started by mpirun unless that or srun has; a "
     "run goes on with any number of them, its steps stay as large",
     1, 65536},
    {"train", "sync_bn", &C::sync_bn, "batch norms take the statistics of all processes' pictures"},
    {"train", "deterministic", &C::deterministic,
     "sums over pictures are added in one order: on the processor 1, 2, 4 and 8 processes give the "
     "same bits (with --sync-bn where there are batch norms)"},
    {"train", "stall_seconds", &C::stall_seconds,
     "how long processes wait for one that does not come, before all end; 0 = for ever", 0, 1e6},
    {"train", "opt", &C::opt,
     "optimiser; sgd is Nesterov's, momentum is without; sam: sharpness-aware, two passes a step; "
     "muon: momentum made orthogonal, for the matrices and filters of hidden layers; lars, lamb: "
     "momentum and AdamW with steps scaled by the layer, for batches of thousands"},
    {"train", "lars_trust", &C::lars_trust,
     "lars: length of a layer's step at a rate of 1, as a share of that of its weights", 0, 10},
    {"train", "sam_base", &C::sam_base, "sam: the optimiser that takes its steps"},
    {"train", "sam_rho", &C::sam_rho, "sam: how far uphill the second pass is made", 0, 100},
    {"train", "muon_rest", &C::muon_rest,
     "muon: the optimiser of biases, norms, embeddings and classifier, at --lr; sgd is Nesterov's; "
     "where it is not given, that of the recipe"},
    {"train", "muon_lr", &C::muon_lr,
     "muon: its own peak learning rate, of a step whatever --lr-per is", 0, 1e3},
    {"train", "muon_momentum", &C::muon_momentum, "muon: its momentum, Nesterov's", 0, 0.9999},
    {"train", "muon_steps", &C::muon_steps,
     "muon: Newton-Schulz steps; 5, or 3 as the airbench record", 1, 20},
    {"train", "muon_rescale", &C::muon_rescale,
     "muon: every matrix gets the norm sqrt(rows) in each step, as in the airbench record"},
    {"train", "muon_weight_decay", &C::muon_weight_decay, "muon: its weight decay, decoupled", 0,
     10},
    {"train", "lr", &C::lr,
     "peak learning rate: what multiplies the gradient of a batch's mean loss in a step; with "
     "--lr-per N that of N pictures, momentum's part divided out, so that it holds for any batch "
     "size and momentum",
     0, 1e6},
    {"train", "lr_per", &C::lr_per,
     "pictures learned from that --lr, --min-lr and --weight-decay are for (1024: as the airbench "
     "records); "
     "weights then lose --weight-decay of themselves for so many, whatever --lr is; 0 = a step",
     0, 1e9},
    {"train", "bias_lr_scale", &C::bias_lr_scale,
     "what the learning rate of batch norms' biases is multiplied by, their weight decay is not "
     "(64: as airbench94)",
     0, 1e6},
    {"train", "layer_decay", &C::layer_decay,
     "of the learning rate, from each layer to the one below: the classifier learns at lr, the "
     "stem slowest; 1 = all at lr",
     1e-3, 1},
    {"train", "momentum", &C::momentum, "of sgd, momentum and lars", 0, 0.9999},
    {"train", "warmup_momentum", &C::warmup_momentum,
     "of sgd, where the warm-up begins, from where it rises linearly; 0 = momentum from the start",
     0, 0.9999},
    {"train", "weight_decay", &C::weight_decay, "L2 for sgd and lars, decoupled for adamw and lamb",
     0, 10},
    {"train", "freeze", &C::freeze,
     "beginnings of names, comma-separated (layer1,layer2.0): these weights stay as they are"},
    {"train", "head_only", &C::head_only, "train the classifier alone, all else stays as it is"},
    {"train", "whiten", &C::whiten,
     "the first convolution or patch embedding begins as what whitens patches of the training "
     "pictures, and stays so (Jordan 2024, airbench; Page 2019)"},
    {"train", "whiten_bias_epochs", &C::whiten_bias_epochs,
     "with --whiten: epochs in which that layer's bias learns, where it has one", 0, 1e6},
    {"train", "whiten_bias_lr", &C::whiten_bias_lr,
     "with --whiten: that bias's own learning rate, falling linearly to 0 in these epochs, its "
     "weight decay as the others'; 0 = it learns as the others (106: as airbench94_muon)",
     0, 1e6},
    {"train", "decay_all", &C::decay_all,
     "decay norms, biases and position tables too (as Park & Kim)"},
    {"train", "sched", &C::sched, "learning-rate schedule"},
    {"train", "warmup_epochs", &C::warmup_epochs, "linear warm-up", 0, 1e6},
    {"train", "warmup_fraction", &C::warmup_fraction,
     "the same as a share of the epochs, in place of warmup_epochs; 0 = as these say", 0, 1},
    {"train", "warmup_start", &C::warmup_start,
     "where the warm-up begins, as a share of lr; 0 = a step's rise above 0", 0, 1},
    {"train", "decay_milestones", &C::decay_milestones,
     "multistep: the epochs after which the learning rate falls"},
    {"train", "decay_rate", &C::decay_rate, "multistep: what it is multiplied by there", 0, 1},
    {"train", "min_lr", &C::min_lr, "learning rate at the end", 0, 1e6},
    {"train", "decay_fraction", &C::decay_fraction,
     "trapezoid: share of the steps over which the learning rate falls, at the end", 0, 1},
    {"train", "final_fraction", &C::final_fraction,
     "linear, trapezoid: learning rate at the end, as a share of lr", 0, 1},
    {"train", "smoothing", &C::smoothing, "label smoothing", 0, 0.99},
    {"train", "bce_loss", &C::bce_loss,
     "binary cross-entropy of every class by itself, in place of the softmax"},
    {"train", "bce_target_thresh", &C::bce_target_thresh,
     "with --bce-loss: targets above it become 1, all others 0; 0 = they stay as they are", 0, 1},
    {"train", "mixup", &C::mixup, "mixup alpha; 0 = off", 0, 100},
    {"train", "cutmix", &C::cutmix, "cutmix alpha; 0 = off", 0, 100},
    {"train", "mixup_prob", &C::mixup_prob, "share of batches that are mixed", 0, 1},
    {"train", "mixup_switch_prob", &C::mixup_switch_prob,
     "of these, share that use cutmix when both are on", 0, 1},
    {"train", "progressive_resize", &C::progressive_resize,
     "training pictures begin scaled down to so many pixels and grow by 4 at a time, in equal "
     "parts "
     "of the training (progressive learning of EfficientNetV2, Tan & Le 2021); 0 = off",
     0, 1024},
    {"train", "crop_padding", &C::crop_padding, "pixels added on each side before the random crop",
     0, 256},
    {"train", "crop_mode", &C::crop_mode, "what the padding holds"},
    {"train", "hflip", &C::hflip, "probability of a horizontal flip", 0, 1},
    {"train", "flip", &C::flip,
     "random: mirrored with the probability of --hflip; alternating: each picture in one of two "
     "epochs (Jordan 2024, airbench)"},
    {"train", "brightness", &C::brightness,
     "added to normalised pixels, up to so much either way, drawn for each picture (Hive 2025)", 0,
     10},
    {"train", "contrast", &C::contrast,
     "normalised pixels are multiplied by 1, up to so much more or less, likewise", 0, 1},
    {"train", "cutout", &C::cutout, "side of a blanked square; 0 = off", 0, 1024},
    {"train", "train_crop_mode", &C::train_crop_mode,
     "training crops: at a random place of the padded picture, or RandomResizedCrop (rrc); auto: "
     "rrc where the stored pictures are larger than the network's"},
    {"train", "scale", &C::scale, "rrc: least and largest area of the crop, of the picture's", 1e-4,
     1},
    {"train", "ratio", &C::ratio, "rrc: least and largest width / height of the crop", 0.01, 100},
    {"train", "train_interpolation", &C::train_interpolation,
     "Pillow's filter of rrc, and of --aa where it shears, moves and turns; random: one of both "
     "each time; auto = bilinear, crops by our own way"},
    {"train", "aa", &C::aa,
     "operations drawn for each picture: RandAugment (rand-m9-mstd0.5-inc1), AutoAugment "
     "(original, v0, ...), 3a, trivial, AugMix (augmix-m5-w4-d2); none = off"},
    {"train", "color_jitter", &C::color_jitter,
     "brightness, contrast and colour by factors of up to 1 + so much; not with --aa; 0 = off", 0,
     10},
    {"train", "reprob", &C::reprob, "probability of random erasing", 0, 1},
    {"train", "remode", &C::remode,
     "erased pixels: the mean, a colour for each rectangle, or for each pixel"},
    {"train", "recount", &C::recount, "most rectangles that are erased", 1, 100},
    {"train", "aug_repeats", &C::aug_repeats,
     "how often a picture comes in a row, each time augmented anew; an epoch is as long as ever", 1,
     100},
    {"train", "clip_grad", &C::clip_grad, "largest global gradient norm; 0 = off", 0, 1e9},
    {"train", "model_ema", &C::model_ema, "evaluate an exponential moving average of the weights"},
    {"train", "model_ema_decay", &C::model_ema_decay, "decay of that average per step", 0, 1},
    {"train", "lookahead", &C::lookahead,
     "every five steps weights and their average move to the average of both, slower towards the "
     "end (as airbench94)"},
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
     "whose convolutions; on a GPU: native, cudnn, auto (the faster, timed); else: native, onednn",
     0,
     0,
     {"native", "cudnn", "auto", "onednn"}},
    {"train",
     "matmul",
     &C::matmul,
     "on a GPU: whose products; auto: the faster ones, timed",
     0,
     0,
     {"native", "cublas", "auto"}},
};

const Setting& setting_of(const std::string& key) {
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
  const auto wanted = std::is_integral_v<T> ? "a whole number" : "a number";
  if (error == std::errc::result_out_of_range)
    throw UsageError(fmt::format("{}: '{}' is further from 0 than any number here", s.key, text));
  if (error != std::errc{} || end != text.data() + text.size() || value != value)
    throw UsageError(fmt::format("{}: '{}' is not {}", s.key, text, wanted));
  if (!(static_cast<double>(value) >= s.low))
    throw UsageError(fmt::format("{}: {} is too small, the least is {}", s.key, text, s.low));
  if (!(static_cast<double>(value) <= s.high))
    throw UsageError(fmt::format("{}: {} is too large, the most is {}", s.key, text, s.high));
  return value;
}

// Words between blanks and commas.
std::vector<std::string> words_of(std::string text) {
  std::vector<std::string> words;
  std::ranges::replace(text, ',', ' ');
  for (const std::string& word : split_text(text, ' '))
    if (!word.empty()) words.push_back(word);
  return words;
}

NumberPair parse_pair(const Setting& s, const std::string& text) {
  const std::vector<std::string> parts = words_of(text);
  if (parts.size() != 2)
    throw UsageError(fmt::format("{}: '{}' are not two numbers such as 0.5 1", s.key, text));
  const NumberPair pair{parse_number<double>(s, parts[0]), parse_number<double>(s, parts[1])};
  if (pair.low > pair.high)
    throw UsageError(fmt::format("{}: {} is more than {}", s.key, parts[0], parts[1]));
  return pair;
}

bool parse_bool(const Setting& s, const std::string& text) {
  if (text == "true" || text == "1" || text == "on") return true;
  if (text == "false" || text == "0" || text == "off") return false;
  throw UsageError(fmt::format("{}: '{}' is neither true nor false", s.key, text));
}

// Which of the setting's words the text is; 0 where any text will do.
size_t parse_word(const Setting& s, const std::string& text) {
  const std::vector<std::string> words = choices_of(s);
  const auto found = std::ranges::find(words, text);
  if (found == words.end() && !words.empty())
    throw UsageError(fmt::format("{}: '{}' is not one of {}{}", s.key, text, join(words),
                                 did_you_mean(text, words)));
  return static_cast<size_t>(found - words.begin());
}

bool is_known_set(const std::string& data) {
  return std::ranges::any_of(list_datasets(),
                             [&](const DatasetInfo& info) { return info.name == data; });
}

}  // namespace

const std::vector<Setting>& settings() { return kSettings; }

std::vector<std::string> choices_of(const Setting& setting) {
  return std::visit(
      [&]<class T>(T RunSettings::*) {
        if constexpr (std::is_enum_v<T>)
          return std::vector<std::string>(SettingWords<T>::all.begin(), SettingWords<T>::all.end());
        else return setting.choices;
      },
      setting.member);
}

void set_value(RunSettings& settings, const std::string& key, const std::string& text) {
  const Setting& s = setting_of(key);
  std::visit(
      [&]<class T>(T RunSettings::*member) {
        T& value = settings.*member;
        if constexpr (std::is_same_v<T, bool>) value = parse_bool(s, text);
        else if constexpr (std::is_same_v<T, NumberPair>) value = parse_pair(s, text);
        else if constexpr (std::is_enum_v<T>) value = static_cast<T>(parse_word(s, text));
        else if constexpr (std::is_same_v<T, std::string>) parse_word(s, text), value = text;
        else value = parse_number<T>(s, text);
      },
      s.member);
}

std::string value_text(const RunSettings& settings, const Setting& setting) {
  return std::visit(
      [&]<class T>(T RunSettings::*member) {
        if constexpr (std::is_enum_v<T>) return std::string(word_of(settings.*member));
        else if constexpr (std::is_same_v<T, NumberPair>)
          return fmt::format("{} {}", (settings.*member).low, (settings.*member).high);
        else return fmt::format("{}", settings.*member);
      },
      setting.member);
}

std::vector<double> milestones_of(const RunSettings& s) {
  const Setting epochs{"train", "decay_milestones", &C::epochs, "", 1e-9, 1e6};
  std::vector<double> milestones;
  for (const std::string& word : words_of(s.decay_milestones))
    milestones.push_back(parse_number<double>(epochs, word));
  if (milestones.empty() || !std::ranges::is_sorted(milestones))
    throw UsageError(
        fmt::format("decay_milestones: '{}' are not rising numbers of epochs such as 60 120 160",
                    s.decay_milestones));
  return milestones;
}

AugmentOptions augment_options(const RunSettings& s, int64_t stored_side, int64_t image_size) {
  const bool larger = stored_side > image_size;
  AugmentOptions options;
  options.pad = s.crop_padding;
  options.crop_mode = s.crop_mode;
  options.flip = static_cast<float>(s.hflip);
  options.alternating_flip = s.flip == FlipKind::alternating;
  options.brightness = static_cast<float>(s.brightness);
  options.contrast = static_cast<float>(s.contrast);
  options.cutout = s.cutout;
  options.resized_crop =
      s.train_crop_mode == CropKind::rrc || (s.train_crop_mode == CropKind::automatic && larger);
  options.scale_low = static_cast<float>(s.scale.low);
  options.scale_high = static_cast<float>(s.scale.high);
  options.ratio_low = static_cast<float>(s.ratio.low);
  options.ratio_high = static_cast<float>(s.ratio.high);
  options.interpolation = s.train_interpolation;
  if (s.aa != "none") options.auto_augment = s.aa;
  options.color_jitter = static_cast<float>(s.color_jitter);
  options.erase_probability = static_cast<float>(s.reprob);
  options.erase_mode = s.remode;
  options.erase_count = s.recount;
  options.repeats = s.aug_repeats;
  return options;
}

Preprocessing preprocessing_of(const RunSettings& s) {
  Preprocessing how{.crop_pct = s.crop_pct};
  if (!s.mean.empty()) how.mean = three_numbers(s.mean, "mean", false);
  if (!s.std.empty()) how.std = three_numbers(s.std, "std", true);
  if (s.interpolation != "auto")
    how.interpolation =
        s.interpolation == "bicubic" ? PictureFilter::bicubic : PictureFilter::bilinear;
  return how;
}

DatasetRequest dataset_request(const RunSettings& s) {
  return {.name = s.data,
          .data_dir = s.data_dir,
          .image_size = s.img_size,
          .shapes = shapes_options({.label = s.shapes_label,
                                    .conflict = s.shapes_conflict,
                                    .test_conflict = s.shapes_test_conflict,
                                    .train_count = s.shapes_train,
                                    .test_count = s.shapes_test,
                                    .classes = s.shapes_classes,
                                    .seed = static_cast<uint64_t>(s.shapes_seed)}),
          .val_split = s.val_split,
          .val_seed = static_cast<uint64_t>(s.val_seed),
          .skip_bad_pictures = s.skip_bad_pictures,
          .preprocessing = preprocessing_of(s)};
}

void move_pictures(RunSettings& settings, const std::string& data_dir, const std::string& known) {
  if (!data_dir.empty() && is_known_set(settings.data)) {
    settings.data_dir = data_dir;
  } else if (!data_dir.empty()) {
    const fs::path held = fs::path(data_dir) / fs::path(settings.data).filename();
    std::error_code error;
    const bool there = fs::is_directory(held, error) || finds_shards(held.string());
    settings.data = there ? held.string() : data_dir;
  } else if (settings.data_dir.empty() && !known.empty() && is_known_set(settings.data)) {
    try {
      find_dataset(settings.data);
    } catch (const DataError&) {
      if (fs::is_directory(known)) settings.data_dir = known;
    }
  }
}

}  // namespace passband
