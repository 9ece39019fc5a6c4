// Recipes by name, and what they, the command line and earlier runs come to.
#include "train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/shard_names.h"
#include "models/initial_values.h"
#include "models/run.h"
#include "models/run_files.h"
#include "models/update_rule.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"
#include "train/beginning.h"
#include "train/recipes.h"
#include "train/schedule.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

struct Recipe {
  std::string text, source;
};

Recipe find_recipe(const std::string& name) {
  if (const BuiltInRecipe* known = built_in_recipe(name)) return {std::string(known->text), name};
  if (name.ends_with(".toml")) {
    const fs::path file(name);
    if (file.filename() == "config.toml")
      return {read_run_file(file.parent_path(), file.filename()), name};
    return {read_file(name), name};
  }
  try {
    const fs::path run = find_run(name);
    return {read_run_file(run, "config.toml"), run / "config.toml"};
  } catch (const UsageError& error) {
    const std::vector<std::string> names = recipe_names();
    throw UsageError(fmt::format("recipe: '{}' is neither one of {}{} nor a .toml file, and {}",
                                 name, join(names), did_you_mean(name, names), error.what()));
  }
}

const std::string* last_given(const Values& given, const std::string& key) {
  const auto found = std::find_if(given.rbegin(), given.rend(),
                                  [&](const auto& value) { return value.first == key; });
  return found == given.rend() ? nullptr : &found->second;
}

void set_values(RunSettings& settings, const Values& values) {
  for (const auto& [key, text] : values) set_value(settings, key, text);
}

std::string absolute(const std::string& path) {
  const std::string text = fs::absolute(path).lexically_normal().string();
  return text.size() > 1 && text.ends_with('/') ? text.substr(0, text.size() - 1) : text;
}

void make_paths_absolute(RunSettings& settings) {
  const bool known = std::ranges::any_of(
      list_datasets(), [&](const DatasetInfo& info) { return info.name == settings.data; });
  std::error_code error;  // of a name that is too long, say: then it leads nowhere
  if (!known && (fs::is_directory(settings.data, error) || names_shards(settings.data)))
    settings.data = absolute(settings.data);
  if (!settings.data_dir.empty()) settings.data_dir = absolute(settings.data_dir);
  if (!settings.weights.empty()) settings.weights = absolute(settings.weights);
  if (!settings.pretrained_from.empty())
    settings.pretrained_from = absolute(find_run(settings.pretrained_from).string());
  if (!built_in_recipe(settings.recipe) && fs::exists(settings.recipe, error))
    settings.recipe = absolute(settings.recipe);
}

// The network takes pictures of the side that it will see: found here, before they are read.
void check_size(const RunSettings& s) {
  int64_t side = s.img_size;
  for (const DatasetInfo& info : list_datasets())
    if (side == 0 && info.name == s.data) side = info.height;
  if (side > 0) check_image_size(s.model, side);
  if (side > 0 && s.select_hard < 1) check_image_size(s.proxy, side);
}

void check_hard_rows(const RunSettings& s) {
  if (s.select_hard == 1) return;
  if (s.mixup > 0 || s.cutmix > 0 || s.bce_loss)
    throw UsageError(
        fmt::format("select_hard: goes by the loss of one label a picture; leave out {}",
                    s.bce_loss    ? "bce_loss"
                    : s.mixup > 0 ? "mixup"
                                  : "cutmix"));
  const int64_t learned = learned_pictures(s);
  if (learned % s.grad_accum_steps != 0)
    throw UsageError(
        fmt::format("select_hard: {} pictures of a step are not {} equal parts; choose "
                    "another grad_accum_steps",
                    learned, s.grad_accum_steps));
}

void check_together(const RunSettings& s) {
  dataset_request(s);
  const bool begins = !s.weights.empty() || !s.pretrained_from.empty();
  if (initial_values_from(s.init, s.positions).any() && begins)
    throw UsageError(
        "init and positions: say how random weights begin; these begin from a file or "
        "a run");
  check_size(s);
  check_hard_rows(s);
  if (s.sched == ScheduleKind::multistep) milestones_of(s);
  if (s.bce_target_thresh > 0 && !s.bce_loss)
    throw UsageError("bce_target_thresh: is of the binary loss; add --bce-loss");
  if (s.warmup_momentum > s.momentum)
    throw UsageError(fmt::format("warmup_momentum: {} is more than momentum, {}", s.warmup_momentum,
                                 s.momentum));
  if (s.flip == FlipKind::alternating && s.hflip != 0.5)
    throw UsageError(
        fmt::format("flip: alternating leaves nothing to chance; hflip, {}, goes with "
                    "random",
                    s.hflip));
  if (s.flip == FlipKind::alternating && s.aug_repeats > 1)
    throw UsageError("flip: alternating shows every picture once an epoch; leave out aug_repeats");
  if (s.whiten && !(s.weights.empty() && s.pretrained_from.empty()))
    throw UsageError(fmt::format("whiten: the first layer comes from {}; give one of them",
                                 s.weights.empty() ? "pretrained_from" : "weights"));
  preprocessing_of(s);
  if (s.crop_pct > 0 && (s.crop_pct < 0.1 || s.interpolation == "auto"))
    throw UsageError(s.interpolation == "auto"
                         ? "crop_pct: belongs to a filter; add --interpolation bilinear or bicubic"
                         : fmt::format("crop_pct: {} is less than 0.1", s.crop_pct));
  if (s.minutes == 0 && s.warmup_epochs > s.epochs)
    throw UsageError(
        fmt::format("warmup_epochs: {} is more than epochs, {}", s.warmup_epochs, s.epochs));
  if (s.minutes > 0 && s.steps > 0)
    throw UsageError("minutes and steps: both say how long to train; give one of them");
  if (s.sched == ScheduleKind::trapezoid && s.minutes == 0 &&
      s.warmup_epochs + s.decay_fraction * s.epochs > s.epochs)
    throw UsageError(
        fmt::format("decay_fraction: {} of {:.6g} epochs and a warm-up of {:.6g} are more than all",
                    s.decay_fraction, s.epochs, s.warmup_epochs));
  if (s.opt == OptimizerKind::muon && s.lr == 0)
    throw UsageError("lr: Muon's rate follows its schedule, which 0 has none of");
  if (s.min_lr > s.lr)
    throw UsageError(fmt::format("min_lr: {} is more than lr, {}", s.min_lr, s.lr));
}

// A recipe's milestones stay where they were in a run of `planned` epochs, as shares of it.
void keep_milestones(RunSettings& s, double planned, const Values& given) {
  if (s.sched != ScheduleKind::multistep || s.epochs == planned ||
      last_given(given, "decay_milestones"))
    return;
  std::vector<std::string> moved;
  for (const double epoch : milestones_of(s))
    moved.push_back(fmt::format("{:.6g}", epoch * s.epochs / planned));
  s.decay_milestones = join(moved, " ");
}

// A warm-up that is given as a share of the epochs; the last words on it were `given`.
void choose_warmup(RunSettings& settings, const Values& given) {
  if (last_given(given, "warmup_epochs") && !last_given(given, "warmup_fraction"))
    settings.warmup_fraction = 0;
  if (settings.warmup_fraction > 0)
    settings.warmup_epochs = settings.warmup_fraction * settings.epochs;
}

// A length of the training that is given stands in the place of the recipe's.
void choose_length(RunSettings& settings, const Values& given) {
  const bool epochs = last_given(given, "epochs");
  const bool steps = last_given(given, "steps") && settings.steps > 0;
  if (!last_given(given, "minutes") || settings.minutes == 0) {
    if (epochs || steps) settings.minutes = 0;
    return;
  }
  if (epochs || steps)
    throw UsageError(fmt::format("minutes and {}: both say how long to train; give one of them",
                                 epochs ? "epochs" : "steps"));
  settings.steps = 0;
}

// Weights that are given take the place of the recipe's, and name the model where nobody else does.
Values with_beginning(const Values& given, const Values& recipe) {
  Values values = given;
  const std::string *weights = last_given(given, "weights"),
                    *run = last_given(given, "pretrained_from");
  if (weights && run && !weights->empty() && !run->empty())
    throw UsageError("weights and pretrained_from: both say where the weights begin; give one");
  if (weights) values.insert(values.begin(), {"pretrained_from", ""});
  if (run) values.insert(values.begin(), {"weights", ""});
  if (last_given(given, "model") || last_given(recipe, "model")) return values;
  if (run && !run->empty())
    values.insert(values.begin(), {"model", read_run(find_run(*run)).settings.model});
  if (weights && !weights->empty())
    values.insert(values.begin(), {"model", model_of_weights(*weights)});
  return values;
}

// What a recipe says of weights that begin at random does not hold for others, nor what it says of
// an optimiser for another one, or of flips where these are given.
Values fitting(Values recipe, const Values& given) {
  const auto names = [&](const char* key) {
    const std::string* text = last_given(given, key);
    return text && !text->empty();
  };
  const bool begins = names("weights") || names("pretrained_from");
  const std::string* opt = last_given(given, "opt");
  const std::string* planned = last_given(recipe, "opt");
  const bool other = opt && (!planned || *opt != *planned);
  const bool by_chance = names("hflip") || names("aug_repeats");  // alternating flips leave none
  std::erase_if(recipe, [&](const auto& value) {
    const std::string& key = value.first;
    return (begins &&
            (key == "init" || key == "positions" || key == "whiten" || key == "bn_fixed_scale")) ||
           (other && (key == "bias_lr_scale" || key == "whiten_bias_lr")) ||
           (by_chance && key == "flip");
  });
  return recipe;
}

}  // namespace

Values recipe_by_name(const std::string& recipe, const std::string& family) {
  const Recipe found = find_recipe(recipe);
  return recipe_values(found.text, found.source, family);
}

RunSettings resolve(const Values& command_line) {
  const std::string* named = last_given(command_line, "recipe");
  const Recipe recipe = find_recipe(named ? *named : RunSettings{}.recipe);
  const Values given = with_beginning(command_line, recipe_values(recipe.text, recipe.source, ""));
  // The recipe may name the model, and the model's family says what else the recipe gives.
  RunSettings first;
  set_values(first, recipe_values(recipe.text, recipe.source, ""));
  set_values(first, given);
  RunSettings resolved;
  set_values(resolved,
             fitting(recipe_values(recipe.text, recipe.source, family_of(first.model)), given));
  const double planned = resolved.epochs;
  const OptimizerKind of_recipe = resolved.opt;
  set_values(resolved, given);
  if (resolved.opt == OptimizerKind::muon && resolved.opt != of_recipe &&
      !last_given(given, "muon_rest"))
    resolved.muon_rest =
        of_recipe == OptimizerKind::adamw ? BaseOptimizerKind::adamw : BaseOptimizerKind::sgd;
  choose_length(resolved, given);
  resolved.recipe = recipe.source;
  if (!last_given(given, "warmup_epochs") && resolved.epochs < planned &&
      resolved.warmup_epochs > resolved.epochs / 2)
    resolved.warmup_epochs *= resolved.epochs / planned;
  choose_warmup(resolved, given);
  keep_milestones(resolved, planned, given);
  make_paths_absolute(resolved);
  prepare_as_weights_know(resolved);
  check_together(resolved);
  return resolved;
}

std::optional<RunConfig> repeated_run(const RunSettings& settings) {
  if (built_in_recipe(settings.recipe)) return {};
  const std::string text = read_file(settings.recipe);
  if (text.find("\n[[session]]\n") == std::string::npos) return {};
  return run_config_from(text, settings.recipe);
}

RunSettings with_length(const RunSettings& settings, int64_t steps, int64_t steps_per_epoch,
                        const Values& given) {
  RunSettings made = settings;
  made.minutes = 0;
  made.epochs = static_cast<double>(steps) / static_cast<double>(steps_per_epoch);
  if (!last_given(given, "warmup_epochs") && made.epochs < settings.epochs)
    made.warmup_epochs *= made.epochs / settings.epochs;
  choose_warmup(made, given);
  made.warmup_fraction = 0;  // a run's epochs may change once more, its warm-up may not
  keep_milestones(made, settings.epochs, given);
  check_together(made);
  return made;
}

RunSettings resumed_settings(const RunConfig& run, const Values& given) {
  std::vector<std::string> free = {"steps",
                                   "save_minutes",
                                   "eval_interval",
                                   "eval_pictures",
                                   "eval_batch_size",
                                   "checkpoint_interval",
                                   "tta",
                                   "data",
                                   "data_dir",
                                   "threads",
                                   "device",
                                   "graph",
                                   "deterministic",
                                   "stall_seconds"};
  free.insert(free.begin(), kOfSchedule.begin(), kOfSchedule.end());
  if (last_given(given, "minutes"))
    throw UsageError(
        "--resume: minutes plan a new run; give --epochs, of the whole run, to change "
        "the length of this one");
  RunSettings settings = run.settings;
  settings.steps = 0;
  for (const auto& [key, text] : given) {
    RunSettings changed = settings;
    set_value(changed, key, text);
    const auto row = std::ranges::find(passband::settings(), key,
                                       [](const Setting& s) { return std::string(s.key); });
    if (std::ranges::find(free, key) == free.end() &&
        value_text(changed, *row) != value_text(settings, *row))
      throw UsageError(
          fmt::format("--resume: {} belongs to the run and can not change (only {} can); start a "
                      "new run, with --recipe RUN for its other settings",
                      key, join(free)));
    settings = changed;
  }
  if (settings.epochs != run.settings.epochs && !last_given(given, "warmup_fraction"))
    settings.warmup_fraction = 0;
  choose_warmup(settings, given);
  if (const std::string* place = last_given(given, "data_dir");
      place && !last_given(given, "data")) {
    settings.data_dir = run.settings.data_dir;
    move_pictures(settings, *place, run.data_path);
  }
  make_paths_absolute(settings);
  check_together(settings);
  return settings;
}

}  // namespace passband
