#include "analysis/study/study.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "analysis/report/text.h"
#include "analysis/study/host.h"
#include "analysis/study/network_file.h"
#include "data/fingerprint.h"
#include "data/imagenet_classes.h"
#include "models/initial_values.h"
#include "models/published.h"
#include "models/weights.h"
#include "tensor/autograd/node.h"
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

RunCard card_of(const RunDescription& run, const Model& model) {
  return {
      run.directory.filename().string(),
      {{"model", run.settings.model},
       {"pattern", model.pattern().empty() ? "-" : model.pattern()},
       {"parameters", format_number(static_cast<double>(model.store().parameter_count()), 12)},
       {"multiply-accumulates", fmt::format("{:.1f} M", static_cast<double>(model.macs()) / 1e6)},
       {"data", run.settings.data},
       {"share of the data", fmt::format("{:g} %", 100 * run.settings.data_fraction)},
       {"pictures", fmt::format("{0} × {0}", run.image_size)},
       {"seed", std::to_string(run.settings.seed)}}};
}

void load_pictures(Study& study, DatasetRequest request) {
  request.training = false;
  // An analysis may bring pictures of its own for a set that is only described.
  const DatasetInfo info = dataset_info(request.name);
  study.data = info.form == DataForm::described ? described_dataset(info) : load_dataset(request);
  study.data_name = request.name;
  study.input.data = &study.data.test;
  study.input.train = &study.data.train;
  study.notes.insert(study.notes.begin(), what_was_found(study.data));
}

// Pictures without labels, as a network sees them that was made for `info` and knows `classes`.
void show_unlabelled(Study& study, const StudyRequest& request, const DatasetInfo& info,
                     const std::vector<std::string>& classes) {
  if (!request.data_dir.empty()) throw UsageError("--data-dir: --pictures names the folder itself");
  study.data = load_unlabelled(request.pictures, classes, info.height, request.skip_bad_pictures);
  for (Dataset* const data : {&study.data.train, &study.data.test}) {
    data->mean = info.mean;
    data->std = info.std;
  }
  study.data_name = request.pictures;
  study.input.data = &study.data.test;
  study.input.train = &study.data.train;
  study.notes.insert(study.notes.begin(), what_was_found(study.data));
}

// Numbers the classes of the pictures as the network does that knows `known`, where they differ.
void fit_classes(Study& study, const std::vector<std::string>& known) {
  Dataset& data = study.data.test;
  if (data.count == 0 || !data.labelled || data.classes == known) return;
  const auto own = data.num_classes();
  // As many, but others: check_classes tells which changed.
  if (own == std::ssize(known) && std::ranges::count(labels_among(data.classes, known), -1) > 0)
    return;
  label_as(study.data, known);
  study.notes.push_back(
      fmt::format("{}: its {} classes are matched by name to the {} that the network knows; "
                  "accuracy is told among these {} and among all",
                  study.data_name, own, known.size(), own));
}

// The pictures that the run was trained on, unless the command line names others.
DatasetRequest pictures_of(const RunDescription& run, const StudyRequest& request) {
  RunSettings settings = run.settings;
  if (!request.data.empty()) {
    settings.data = request.data;
    settings.val_split = 0;
  }
  move_pictures(settings, request.data_dir, run.data_path);
  settings.img_size = run.image_size;
  if (request.skip_bad_pictures) settings.skip_bad_pictures = true;
  return dataset_request(settings);
}

// All networks of a study know the same classes, by name.
void check_classes(const std::string& name, const std::vector<std::string>& known,
                   const Study& study) {
  const std::string other = difference_of_classes(known, study.data.test.classes);
  if (other.empty() || study.data.test.count == 0) return;
  throw UsageError(fmt::format("{} knows other classes than {} has: {}; analyse it by itself", name,
                               study.data_name, other));
}

// Its own pictures have to be those it was trained on.
void check_pictures(const RunDescription& run, const Study& study) {
  const std::string other = difference(run.data, fingerprint(study.data));
  if (!other.empty())
    throw DataError(
        fmt::format("{}: {}: these are not the pictures that {} was trained on; name "
                    "their place with --data-dir, or --data {} to analyse it on these",
                    study.data_name, other, run.directory.filename().string(), study.data_name));
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

// Whether a directory can be made, or written when it is there.
bool can_hold_report(const fs::path& directory) {
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

// What a run's network was trained on, as a description; its pictures need not be there.
DatasetInfo seen_by(const RunDescription& run) {
  DatasetInfo info = made_for(std::ssize(run.data.classes), {});
  for (const DatasetInfo& known : list_datasets())
    if (known.name == run.settings.data) info = known;
  info.classes = std::ssize(run.data.classes);
  info.height = info.width = run.image_size;
  return info;
}

void add_run(Study& study, const StudyRequest& request, const std::string& name) {
  const auto run = std::make_shared<RunDescription>(read_run(find_run(name)));
  remove_stale_temporaries(run->directory.string());
  std::shared_ptr<Model> model = load_run_model(*run, request.which);
  if (study.input.subjects.empty()) {
    if (!request.pictures.empty()) {
      if (!request.data.empty())
        throw UsageError("--pictures and --data: both say what is shown; give one of them");
      show_unlabelled(study, request, seen_by(*run), run->data.classes);
    } else {
      load_pictures(study, pictures_of(*run, request));
      if (request.data.empty()) check_pictures(*run, study);
      else if (run->data.classes.size() != 0) fit_classes(study, run->data.classes);
    }
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
std::shared_ptr<Model> read_network(Study& study, const std::string& file, const std::string& model,
                                    const DatasetInfo& info) {
  std::shared_ptr<Model> network =
      make_model(model, {.classes = info.classes, .image_size = info.height});
  std::string prefix;
  load_weights(file, *network, &prefix);
  if (!prefix.empty())
    study.notes.push_back(
        fmt::format("{}: the prefix {} that all its names share is left out", file, quote(prefix)));
  return network;
}

// Shows the file's network what was asked for. Returns what the network was made for.
DatasetInfo load_pictures_of_file(Study& study, const StudyRequest& request) {
  const std::string data = request.data.empty() ? "cifar10" : request.data;
  const std::optional<int64_t> classes = classes_in(request.weights, request.model);
  if (!request.pictures.empty()) {
    const DatasetInfo info = made_for(classes.value_or(kImagenetClasses), request.data);
    if (!request.data.empty() && info.name != dataset_info(request.data).name)
      throw UsageError(fmt::format(
          "{} knows {} classes, {} has {}: --data beside --pictures names "
          "what the network was made for; leave it out",
          request.weights, info.classes, request.data, dataset_info(request.data).classes));
    show_unlabelled(study, request, info, described_dataset(info).test.classes);
    return info;
  }
  DatasetInfo info = dataset_info(data);
  const bool mapped = classes && *classes != info.classes;
  if (mapped && *classes != kImagenetClasses)
    throw UsageError(
        fmt::format("{} knows {} classes, {} has {}; name pictures of its classes by --data, or "
                    "any without labels by --pictures FOLDER",
                    request.weights, *classes, data, info.classes));
  if (mapped) info = made_for(*classes, {});
  load_pictures(study, {.name = data,
                        .data_dir = request.data_dir,
                        .image_size = info.height,
                        .skip_bad_pictures = request.skip_bad_pictures});
  if (mapped) fit_classes(study, imagenet_class_names());
  return info;
}

void add_weights(Study& study, const StudyRequest& request) {
  family_of(request.model);  // a wrong name ends here
  const DatasetInfo info = load_pictures_of_file(study, request);
  const std::shared_ptr<Model> model = read_network(study, request.weights, request.model, info);
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
  const std::shared_ptr<Model> network = read_network(study, file, model, info);
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

// Shows the pictures as the command line, the run or the file of weights says.
void prepare(Study& study, const StudyRequest& request) {
  const Subject& first = study.input.subjects.front();
  RunSettings asked;
  asked.mean = request.mean;
  asked.std = request.std;
  asked.crop_pct = request.crop_pct;
  if (!request.interpolation.empty()) asked.interpolation = request.interpolation;
  Preprocessing how = preprocessing_of(asked), known;
  std::string by;
  if (first.run) {
    known = preprocessing_of(first.run->settings);
    by = first.run->directory.filename().string();
  } else if (const auto of_file = preprocessing_of_file(request.weights, request.model)) {
    known = of_file->how;
    by = of_file->by;
  }
  if (known != Preprocessing{} && how == Preprocessing{})
    study.notes.push_back(fmt::format("pictures as {} knows them: {}", by, words(known)));
  if (!how.mean) how.mean = known.mean;
  if (!how.std) how.std = known.std;
  if (how.crop_pct == 0) how.crop_pct = known.crop_pct;
  if (request.interpolation.empty()) how.interpolation = known.interpolation;
  prepare_pictures(study.data, how, first.model->options().image_size);
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
    add_run(study, request, request.run.empty() ? "last" : request.run);
  }
  prepare(study, request);
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
    study.header.answer += (study.header.answer.empty() ? "" : " ") + introduction(subject);
  }
  study.header.title = join(labels, " beside ") + " on " + study.data_name;
}

std::string section_key(const Analysis& analysis, const AnalysisInput& input) {
  std::string key =
      fmt::format("{} {:016x} {}", analysis.name, fingerprint(*input.data), input.images);
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
