#include "train/beginning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/initial_values.h"
#include "models/layer_decay.h"
#include "models/published.h"
#include "models/run.h"
#include "models/weight_names.h"
#include "models/weights.h"
#include "models/whitening.h"
#include "tensor/core/checksum.h"
#include "tensor/core/error.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

// Whether a name begins with these components.
bool begins_with(const std::string& name, const std::string& beginning) {
  return name == beginning || name.starts_with(beginning + ".");
}

// Every beginning of the names, for near ones.
std::vector<std::string> beginnings(const ParameterStore& store) {
  std::vector<std::string> found;
  for (const ParameterRef& p : store.parameters())
    for (size_t dot = p->name.find('.'); dot != std::string::npos; dot = p->name.find('.', dot + 1))
      found.push_back(p->name.substr(0, dot));
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// The names of --freeze, each of which is the beginning of some parameter's.
std::vector<std::string> frozen_names(const RunSettings& settings, const ParameterStore& store) {
  std::vector<std::string> names;
  for (const std::string& name : split_text(settings.freeze, ',')) {
    if (name.empty()) continue;
    const bool known = std::ranges::any_of(
        store.parameters(), [&](const ParameterRef& p) { return begins_with(p->name, name); });
    if (!known)
      throw UsageError(fmt::format("freeze: no weights of {} have names that begin with {}{}",
                                   settings.model, quote(name),
                                   did_you_mean(name, beginnings(store))));
    names.push_back(name);
  }
  return names;
}

std::string text_of(const std::array<float, 3>& numbers) {
  return fmt::format("{},{},{}", numbers[0], numbers[1], numbers[2]);
}

std::string note_on_rates(const RunSettings& settings, const ParameterStore& store) {
  const std::vector<double> scales = layer_scales(store, settings.layer_decay);
  const double least = std::ranges::min(scales);
  return fmt::format("layer decay: {} layers; the first learns at {:.3g}, the classifier at {:.3g}",
                     1 + std::llround(std::log(least) / std::log(settings.layer_decay)),
                     settings.lr * least, settings.lr);
}

// What the settings leave open.
void fill_in(RunSettings& settings, const Preprocessing& how) {
  if (settings.mean.empty() && how.mean) settings.mean = text_of(*how.mean);
  if (settings.std.empty() && how.std) settings.std = text_of(*how.std);
  if (settings.crop_pct == 0) settings.crop_pct = how.crop_pct;
  if (settings.interpolation == "auto" && how.interpolation != PictureFilter::automatic)
    settings.interpolation = how.interpolation == PictureFilter::bicubic ? "bicubic" : "bilinear";
}

// The normalisation of a run's own pictures, where they are a known set's.
Preprocessing seen_by(const RunDescription& run) {
  for (const DatasetInfo& known : list_datasets())
    if (known.name == run.settings.data) return {.mean = known.mean, .std = known.std};
  return {};
}

}  // namespace

std::vector<std::string> begin_weights(const RunSettings& settings,
                                       const std::vector<std::string>& classes, Model& model) {
  if (!settings.weights.empty())
    return fit_weights(settings.weights, model, {.new_head = true}).notes;
  if (settings.pretrained_from.empty())
    return initialise(model, initial_values_from(settings.init, settings.positions),
                      static_cast<uint64_t>(settings.seed));
  const RunDescription run = read_run(find_run(settings.pretrained_from));
  std::vector<std::string> notes =
      fit_weights(run_weights(run).string(), model,
                  {.new_head = true, .other_classes = run.data.classes != classes})
          .notes;
  if (std::string note = note_on_weights(run); !note.empty()) notes.push_back(std::move(note));
  return notes;
}

std::optional<BeginningFile> beginning_of(const RunSettings& settings) {
  fs::path path = settings.weights;
  if (!settings.pretrained_from.empty())
    path = run_weights(read_run(find_run(settings.pretrained_from)));
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(size_t{1} << 20);
  Checksum checksum;
  while (file.read(block.data(), std::ssize(block)) || file.gcount() > 0)
    checksum.add({block.data(), static_cast<size_t>(file.gcount())});
  if (!file.eof()) throw DataError(fmt::format("cannot read {}", path.string()));
  return BeginningFile{path.filename().string(), checksum.value()};
}

std::vector<std::string> notes_on_form(const RunSettings& settings, const Model& model,
                                       int64_t stored_side) {
  std::vector<std::string> notes;
  const int64_t side = model.options().image_size;
  if (settings.stem != StemKind::automatic)
    notes.push_back(fmt::format("stem: {}, on pictures of {} x {}",
                                model.options().begins_small()
                                    ? "CIFAR's 3x3"
                                    : "ImageNet's, of strides and pooling that quarter the map",
                                side, side));
  const bool begins = !settings.weights.empty() || !settings.pretrained_from.empty();
  if (begins && stored_side < side)
    notes.push_back(fmt::format("pictures of {} x {} are enlarged to {} x {}", stored_side,
                                stored_side, side, side));
  if (settings.layer_decay < 1) notes.push_back(note_on_rates(settings, model.store()));
  return notes;
}

void whiten_as_settings_say(const RunSettings& settings, const Dataset& train, Model& model) {
  if (settings.whiten) whiten_first_convolution(model, train, static_cast<uint64_t>(settings.seed));
}

void freeze_weights(const RunSettings& settings, Model& model, std::vector<std::string>& notes) {
  std::vector<std::string> names = frozen_names(settings, model.store());
  if (settings.whiten) names.push_back(first_convolution(model)->name);
  if (names.empty() && !settings.head_only) return;
  int64_t trained = 0;
  model.store().freeze([&](const Parameter& p) {
    const bool frozen =
        (settings.head_only && !is_classifier(p.name)) ||
        std::ranges::any_of(names, [&](const auto& name) { return begins_with(p.name, name); });
    if (!frozen && !p.frozen) trained += p.shape.numel();
    return frozen;
  });
  if (trained == 0)
    throw UsageError(fmt::format("freeze: nothing of {} is left to train", settings.model));
  notes.push_back(fmt::format("trains {} of {}; the others stay as they are", trained,
                              counted(model.store().parameter_count(), "parameter")));
}

void prepare_as_weights_know(RunSettings& settings) {
  if (settings.img_size == 0) settings.img_size = published_size(settings.model);
  if (!settings.pretrained_from.empty()) {
    const RunDescription run = read_run(settings.pretrained_from);
    fill_in(settings, preprocessing_of(run.settings));
    if (run.settings.data != settings.data) fill_in(settings, seen_by(run));
  } else if (!settings.weights.empty()) {
    if (const auto known = preprocessing_of_file(settings.weights, settings.model))
      fill_in(settings, known->how);
  }
}

std::string model_of_weights(const std::string& path) {
  if (std::string model = model_named_in(*open_tensor_file(path)); !model.empty()) return model;
  if (const auto config = hub_config_beside(path); config && !config->architecture.empty())
    return config->architecture;
  throw UsageError(
      fmt::format("weights: {} does not say of which network it is: name it with --model", path));
}

}  // namespace passband
