#include "analysis/study/study.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "analysis/report/text.h"
#include "analysis/study/host.h"
#include "analysis/study/network_file.h"
#include "analysis/study/source_digest.h"
#include "analysis/study/study_pictures.h"
#include "data/data_title.h"
#include "data/fingerprint.h"
#include "data/imagenet_classes.h"
#include "models/initial_values.h"
#include "models/published.h"
#include "models/weights.h"
#include "tensor/autograd/node.h"
#include "tensor/core/collective.h"
#include "tensor/core/file.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/random.h"
#include "tensor/core/text.h"
#include "tensor/device_choice.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

std::string digest_of(const Model& model) {
  std::string digest = model.name();
  for (const Tensor& values : {model.store().values(), model.store().buffer_values()}) {
    if (!values.defined()) continue;
    const Tensor read = on_host(values);
    const std::string_view bytes(static_cast<const char*>(read.raw()),
                                 static_cast<size_t>(values.numel() * size_of(values.dtype())));
    digest += fmt::format("-{:016x}", site_of(bytes));
  }
  return digest;
}

// What the card says in other words already, and where files lie.
bool is_told(const std::string& key) {
  constexpr std::array<std::string_view, 6> told = {"model",         "data",     "seed",
                                                    "data_fraction", "img_size", "data_dir"};
  return std::ranges::find(told, key) != told.end();
}

RunCard card_of(const RunDescription& run, const Model& model) {
  RunCard card = {
      run.directory.filename().string(),
      {{"model", run.settings.model},
       {"pattern", model.pattern().empty() ? "-" : model.pattern()},
       {"parameters", format_number(static_cast<double>(model.store().parameter_count()), 12)},
       {"multiply-accumulates", fmt::format("{:.1f} M", static_cast<double>(model.macs()) / 1e6)},
       {"data", run.settings.data},
       {"share of the data", fmt::format("{:g} %", 100 * run.settings.data_fraction)},
       {"pictures", fmt::format("{0} × {0}", run.image_size)},
       {"seed", std::to_string(run.settings.seed)}},
      {}};
  for (const Setting& setting : settings())
    if (!is_told(setting.key))
      card.details.emplace_back(setting.key, value_text(run.settings, setting));
  return card;
}

// A title of two lines at most: the networks by name where they are few, else how many.
std::string title_of(const std::vector<std::string>& labels, const std::string& data) {
  constexpr std::array<const char*, 9> counts = {"Two",   "Three", "Four", "Five", "Six",
                                                 "Seven", "Eight", "Nine", "Ten"};
  constexpr size_t kMost = 60;
  const std::string whole = join(labels, " beside ") + " on " + data;
  if (labels.size() == 1 || (labels.size() == 2 && whole.size() <= kMost)) return whole;
  const size_t count = labels.size() - 2;
  const std::string many = count < counts.size() ? counts[count] : std::to_string(labels.size());
  return many + " networks on " + data;
}

// A label that no other subject has: the model's name, or the run's or file's where that is taken.
std::string label_of(const Study& study, const std::string& model, const std::string& source) {
  const auto taken = [&](const std::string& label) {
    return std::ranges::find(study.input.subjects, label, &Subject::label) !=
           study.input.subjects.end();
  };
  std::string label = model;
  if (taken(label)) label = source;
  for (int copy = 2; taken(label); ++copy) label = fmt::format("{} ({})", source, copy);
  return label;
}

// Whether a directory can be made, or written when it is there. Of several processes, the first
// alone makes and writes it.
bool can_hold_report(const fs::path& directory) {
  if (process_rank() > 0) return true;
  std::error_code error;
  if (fs::is_directory(directory, error)) return access(directory.c_str(), W_OK) == 0;
  const bool made = fs::create_directory(directory, error);
  if (made) fs::remove(directory, error);
  return made;
}

// The usual place of a report, or one in the working directory where that cannot be written.
fs::path writable_place(Study& study, const fs::path& usual, const std::string& otherwise) {
  if (can_hold_report(usual)) return usual;
  study.notes.push_back(
      fmt::format("{} cannot be written; the report goes to {} here (--output names a place)",
                  usual.string(), otherwise));
  return otherwise;
}

// Says what was left out or fitted to the size of the pictures.
void read_weights(Study& study, const StudyRequest& request, const std::string& file,
                  Model& network) {
  const FitOptions fit{.resample = request.img_size > 0, .finite = false};
  for (const std::string& note : fit_weights(file, network, fit).notes) study.notes.push_back(note);
}

// As it was trained, or for pictures of --img-size.
std::shared_ptr<Model> model_of_run(Study& study, const StudyRequest& request,
                                    const RunDescription& run) {
  if (request.img_size == 0) return load_run_model(run, request.which);
  ModelOptions options = run.model_options();
  options.image_size = request.img_size;
  std::shared_ptr<Model> network = make_model(run.settings.model, options);
  read_weights(study, request, run_weights(run, request.which).string(), *network);
  return network;
}

void add_run(Study& study, const StudyRequest& request, const std::string& name) {
  const auto run = std::make_shared<RunDescription>(read_run(find_run(name)));
  remove_stale_temporaries(run->directory.string());
  std::shared_ptr<Model> model = model_of_run(study, request, *run);
  if (std::string note = note_on_weights(*run, request.which); !note.empty())
    study.notes.push_back(std::move(note));
  if (study.input.subjects.empty()) {
    show_pictures_of_run(study, request, *run);
    const std::string otherwise = run->directory.filename().string() + "-report";
    study.report = request.output.empty()
                       ? writable_place(study, run->directory / "report", otherwise)
                       : fs::path(request.output);
    study.header.subtitle = run->directory.filename().string();
  }
  check_classes(name, run->data.classes, study);
  study.header.runs.push_back(card_of(*run, *model));
  study.input.subjects.push_back(make_subject(
      label_of(study, run->settings.model, run->directory.filename().string()), model, run));
}

// The network `model` with the weights of a file. `info`: what it was made for.
std::shared_ptr<Model> read_network(Study& study, const StudyRequest& request,
                                    const std::string& file, const std::string& model,
                                    const DatasetInfo& info) {
  std::shared_ptr<Model> network = make_model(
      model, {.classes = info.classes, .image_size = info.height, .stem = stem_in(file, model)});
  read_weights(study, request, file, *network);
  return network;
}

void add_weights(Study& study, const StudyRequest& request) {
  family_of(request.model);  // a wrong name ends here
  const DatasetInfo info = show_pictures_of_file(study, request);
  const std::shared_ptr<Model> model =
      read_network(study, request, request.weights, request.model, info);
  const fs::path file = request.weights;
  const std::string name = file.stem().string() + "-report";
  study.report = request.output.empty() ? writable_place(study, file.parent_path() / name, name)
                                        : fs::path(request.output);
  study.header.subtitle = file.filename().string();
  study.input.subjects.push_back(make_subject(request.model, model));
}

bool is_file_of_weights(const std::string& name) {
  std::error_code error;
  return fs::is_regular_file(name, error) || name.ends_with(".safetensors");
}

// A network to stand beside the first: a run, FILE or MODEL=FILE.
void add_against(Study& study, const StudyRequest& request, const std::string& name) {
  std::error_code error;
  const size_t equals = fs::is_regular_file(name, error) ? name.npos : name.rfind('=');
  const bool named = equals != name.npos;
  const std::string file = named ? name.substr(equals + 1) : name;
  if (!is_file_of_weights(file)) return add_run(study, request, name);
  const Model& first = *study.input.subjects.front().model;
  const std::string model = named ? name.substr(0, equals) : first.name();
  family_of(model);
  const std::optional<int64_t> classes = classes_in(file, model);
  if (classes && *classes != first.options().classes)
    throw UsageError(fmt::format("--against {}: it knows {} classes, {} knows {}", file, *classes,
                                 study.input.subjects.front().label, first.options().classes));
  DatasetInfo info;
  info.classes = first.options().classes;
  info.height = first.options().image_size;
  const std::shared_ptr<Model> network = read_network(study, request, file, model, info);
  study.input.subjects.push_back(
      make_subject(label_of(study, model, fs::path(file).stem().string()), network));
}

// "convolution (11 blocks), self-attention (5)"
std::string mixers_of(const Model& model) {
  constexpr std::pair<BlockKind, const char*> kinds[] = {
      {BlockKind::conv, "convolution"},
      {BlockKind::depthwise, "depthwise convolution"},
      {BlockKind::msa, "self-attention"},
      {BlockKind::parallel, "self-attention beside a convolution"},
      {BlockKind::lambda, "lambda layers"},
      {BlockKind::hydra, "Hydra attention"},
      {BlockKind::pooling, "pooling"},
      {BlockKind::identity, "nothing"}};
  std::vector<std::string> list;
  for (const auto& [kind, name] : kinds)
    if (model.has(kind)) list.push_back(fmt::format("{} ({})", name, model.count(kind)));
  return join(list);
}

// The network in a plain sentence, for the head of the page.
std::string introduction(const Subject& subject) {
  const Model& model = *subject.model;
  std::string text = fmt::format(
      "{} has {} parameters and spends {:.0f} million multiply-accumulates on a picture",
      subject.label, format_number(static_cast<double>(model.store().parameter_count()), 12),
      static_cast<double>(model.macs()) / 1e6);
  if (!model.pattern().empty())
    text += fmt::format("; its {} blocks ({}) mix places by {}", model.branches().size(),
                        model.pattern(), mixers_of(model));
  return text + ".";
}

// Names, sizes and times of what a setting names on disk, so that pictures put in or taken out
// count; else nothing.
std::string stamp_of(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  std::vector<std::string> files;
  const auto add = [&](const fs::path& file) {
    std::error_code gone;
    files.push_back(fmt::format("{} {} {}", file.string(), fs::file_size(file, gone),
                                fs::last_write_time(file, gone).time_since_epoch().count()));
  };
  add(path);
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    add(entry->path());
  std::ranges::sort(files);
  return fmt::format("@{:016x}", site_of(join(files)));
}

}  // namespace

Subject make_subject(std::string label, std::shared_ptr<Model> model,
                     std::shared_ptr<const RunDescription> run) {
  std::string digest = digest_of(*model);
  return {std::move(label), std::move(model), std::move(digest), std::move(run)};
}

void make_study(const StudyRequest& request, Study& study) {
  if (!request.weights.empty()) {
    if (request.model.empty()) throw UsageError("--weights: name the network with --model");
    if (!request.run.empty()) throw UsageError("--weights and --run exclude each other");
    add_weights(study, request);
  } else {
    if (!request.model.empty()) throw UsageError("--model: give its --weights FILE, or use --run");
    if (!request.classes.empty())
      throw UsageError("--classes: a run knows its own classes; they go with --weights FILE");
    add_run(study, request, request.run.empty() ? "last" : request.run);
  }
  study.input.images = request.images;
  if (request.untrained) {
    const Subject first = study.input.subjects.front();
    std::shared_ptr<Model> random = make_model(first.model->name(), first.model->options());
    if (first.run)
      initialise(*random,
                 initial_values_from(first.run->settings.init, first.run->settings.positions),
                 first.model->options().seed);
    study.input.subjects.push_back(make_subject(first.label + ", untrained", random));
  }
  for (const std::string& name : request.against) add_against(study, request, name);
  const Device device = choose_device(request.device);
  set_conv_kernels(kernel_source_here(KernelSource::library, device));
  set_product_kernels(kernel_source_here(KernelSource::library, device));
  std::vector<std::string> labels;
  for (const Subject& subject : study.input.subjects) {
    subject.model->to(device);
    labels.push_back(subject.label);
  }
  if (labels.size() == 1) study.header.answer = introduction(study.input.subjects.front());
  study.header.title = title_of(labels, title_of_data(study.data_name));
}

std::string section_key(const Analysis& analysis, const AnalysisInput& input) {
  std::string key = fmt::format("{} {:016x} {} by {}", analysis.name, fingerprint(*input.data),
                                input.images, source_digest());
  if (const Preprocessing& how = input.data->preprocessing; how != Preprocessing{})
    key += " shown by " + words(how);
  if (input.share < 1) key += fmt::format(" share {}", input.share);
  const Model* first = input.subjects.empty() ? nullptr : input.subjects.front().model.get();
  if (first) key += " on " + describe_device(first->device());
  if (analysis.uses_train) key += fmt::format(" {:016x}", fingerprint(*input.train));
  for (const auto& [name, value] : input.settings) {
    key += " " + name + "=" + value;
    const std::vector<AnalysisOption>& rows = analysis.options.rows();
    const auto option = std::ranges::find(rows, name, &AnalysisOption::name);
    // A choice or a default is a word of the program, whatever the working directory holds under
    // that name.
    const bool free = option != rows.end() && option->choices.empty() && option->standard != value;
    if (free) key += stamp_of(value);
  }
  for (const Subject& subject : input.subjects) {
    key += " " + subject.label + " " + subject.fingerprint;
    if (analysis.uses_train && subject.run)
      key += fmt::format(" {}", subject.run->settings.data_fraction);
  }
  return key;
}

double seconds_per_picture(const Model& model) {
  NoGrad no_grad;
  ContextGuard mode({.training = false, .compute = DType::f32});
  const bool emulated = model.device().is_cuda() && cuda_backend() == CudaBackend::emulated;
  const int64_t batch = emulated ? 1 : 16;
  const int64_t side = model.options().image_size;
  const Tensor images = Tensor::zeros({batch, side, side, 3}, DType::f32, model.device());
  double best = 0;
  for (int attempt = 0; attempt < (emulated ? 1 : 3);
       ++attempt) {  // the first one also prepares kernels
    const auto begin = std::chrono::steady_clock::now();
    const Tensor logits = on_host(model(images));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = attempt == 0 ? seconds : std::min(best, seconds);
  }
  return best / static_cast<double>(batch);
}

}  // namespace passband
