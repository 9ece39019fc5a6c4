#include "analysis/study/study_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "analysis/study/network_file.h"
#include "data/fingerprint.h"
#include "data/imagenet_classes.h"
#include "models/published.h"
#include "tensor/core/file.h"
#include "tensor/core/split_text.h"
#include "tensor/core/text.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

// How the pictures are shown: as the command line says, else as whoever trained the network does.
Preprocessing shown_as(const StudyRequest& request, const Preprocessing& known) {
  RunSettings asked;
  asked.mean = request.mean;
  asked.std = request.std;
  asked.crop_pct = request.crop_pct;
  if (!request.interpolation.empty()) asked.interpolation = request.interpolation;
  Preprocessing how = preprocessing_of(asked);
  if (!how.mean) how.mean = known.mean;
  if (!how.std) how.std = known.std;
  if (request.interpolation.empty()) how.interpolation = known.interpolation;
  const bool named = how.interpolation != PictureFilter::automatic;
  if (how.crop_pct == 0 && named) how.crop_pct = known.crop_pct;
  if (how.crop_pct > 0 && !named)
    throw UsageError("--crop-pct: belongs to a filter; add --interpolation bilinear or bicubic");
  return how;
}

// Says what was taken over from `by`, where the command line says nothing.
void note_shown(Study& study, const StudyRequest& request, const Preprocessing& how,
                const Preprocessing& known, const std::string& by) {
  const bool asked = !request.mean.empty() || !request.std.empty() || request.crop_pct > 0 ||
                     !request.interpolation.empty();
  if (how == Preprocessing{}) return;
  study.notes.push_back(asked || known == Preprocessing{}
                            ? "pictures: " + words(how)
                            : fmt::format("pictures as {} knows them: {}", by, words(how)));
}

void show(Study& study, DataSplits data, const std::string& name) {
  study.data = std::move(data);
  study.data_name = name;
  study.input.data = &study.data.test;
  study.input.train = &study.data.train;
  study.notes.insert(study.notes.begin(), what_was_found(study.data));
}

void load_pictures(Study& study, DatasetRequest request) {
  request.training = false;
  // An analysis may bring pictures of its own for a set that is only described.
  const DatasetInfo info = dataset_info(request.name);
  show(study, info.form == DataForm::described ? described_dataset(info) : load_dataset(request),
       request.name);
}

// Pictures without labels, as a network sees them that was made for `info` and knows `classes`.
void show_unlabelled(Study& study, const StudyRequest& request, const DatasetInfo& info,
                     const std::vector<std::string>& classes) {
  if (!request.data_dir.empty()) throw UsageError("--data-dir: --pictures names the folder itself");
  show(study, load_unlabelled(request.pictures, classes, info.height, request.skip_bad_pictures),
       request.pictures);
  for (Dataset* const data : {&study.data.train, &study.data.test}) {
    data->mean = info.mean;
    data->std = info.std;
  }
}

// Numbers the classes of the pictures as the network does that knows `known`.
void label_as_known(Study& study, const std::vector<std::string>& known) {
  const auto own = study.data.test.num_classes();
  label_as(study.data, known);
  study.notes.push_back(
      fmt::format("{}: its {} classes are matched by name to the {} that the network knows; "
                  "accuracy is told among these {} and among all",
                  study.data_name, own, known.size(), own));
}

// The same where they differ and can be matched.
void fit_classes(Study& study, const std::vector<std::string>& known) {
  Dataset& data = study.data.test;
  if (data.count == 0 || !data.labelled || data.classes == known) return;
  // As many, but others: check_classes tells which changed.
  if (data.num_classes() == std::ssize(known) &&
      std::ranges::count(labels_among(data.classes, known), -1) > 0)
    return;
  label_as_known(study, known);
}

// The pictures that the run was trained on, unless the command line names others.
DatasetRequest pictures_of(const RunDescription& run, const StudyRequest& request) {
  RunSettings settings = run.settings;
  if (!request.data.empty()) {
    settings.data = request.data;
    settings.val_split = 0;
  }
  move_pictures(settings, request.data_dir, run.data_path);
  settings.img_size = request.img_size > 0 ? request.img_size : run.image_size;
  if (request.skip_bad_pictures) settings.skip_bad_pictures = true;
  return dataset_request(settings);
}

// Its own pictures have to be those it was trained on. In another size, or by another filter, their
// number and their labels tell.
void check_pictures(const RunDescription& run, const DatasetRequest& shown, const Study& study) {
  DataFingerprint now = fingerprint(study.data);
  if (shown.image_size != run.image_size || shown.preprocessing != preprocessing_of(run.settings)) {
    now.train.pictures = run.data.train.pictures;
    now.val.pictures = run.data.val.pictures;
    now.test.pictures = run.data.test.pictures;
  }
  const std::string other = difference(run.data, now);
  if (!other.empty())
    throw DataError(
        fmt::format("{}: {}: these are not the pictures that {} was trained on; name "
                    "their place with --data-dir, or --data {} to analyse it on these",
                    study.data_name, other, run.directory.filename().string(), study.data_name));
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

// What --classes says.
struct GivenClasses {
  std::vector<std::string> names = {};  // by label; empty: not said
  int64_t count = 0;                    // 0: not said
};

std::vector<std::string> lines_of(const std::string& file) {
  std::vector<std::string> lines;
  for (std::string line : split_text(read_file(file), '\n')) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

GivenClasses given_classes(const StudyRequest& request) {
  if (request.classes.empty()) return {};
  const std::string& first = request.classes.front();
  const bool alone = request.classes.size() == 1;
  int64_t count = 0;
  const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), count);
  if (alone && error == std::errc{} && end == first.data() + first.size()) {
    if (count < 1)
      throw UsageError(fmt::format("--classes: {} classes; there is at least one", count));
    return {.count = count};
  }
  std::error_code code;
  std::vector<std::string> names =
      alone && fs::is_regular_file(first, code) ? lines_of(first) : request.classes;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i].empty() || std::ranges::count(names, names[i]) > 1)
      throw UsageError(fmt::format("--classes: class {} is {}; give every class a name of its own",
                                   i, names[i].empty() ? "empty" : quote(names[i]) + " twice"));
  return {names, std::ssize(names)};
}

// What the file holds and what --classes says, which have to agree.
std::optional<int64_t> known_classes(const StudyRequest& request, const GivenClasses& given) {
  const std::optional<int64_t> held = classes_in(request.weights, request.model);
  if (held && given.count > 0 && *held != given.count)
    throw UsageError(fmt::format("--classes: they are {}, but {} knows {}", given.count,
                                 request.weights, *held));
  return held || given.count == 0 ? held : given.count;
}

// The side that --img-size, the name of the network or a file beside its weights states.
int64_t stated_size(const StudyRequest& request) {
  if (request.img_size > 0) return request.img_size;
  if (const auto config = hub_config_beside(request.weights); config && config->image_size > 0)
    return config->image_size;
  return published_size(request.model);
}

// What the network of the file was made for, shown the pictures of `data`.
DatasetInfo made_for_file(const StudyRequest& request, const std::string& data,
                          const std::optional<int64_t>& classes, const GivenClasses& given) {
  DatasetInfo info = dataset_info(data);
  if (!classes || *classes == info.classes) return info;
  if (!given.names.empty()) {
    info.classes = *classes;
    return info;
  }
  if (*classes != kImagenetClasses)
    throw UsageError(
        fmt::format("{} knows {} classes, {} has {}; name its classes by --classes, pictures of "
                    "them by --data, or any without labels by --pictures FOLDER",
                    request.weights, *classes, data, info.classes));
  return made_for(*classes, {});
}

// Photographs of so many classes, whose names are not ours to know.
DatasetInfo photographs(int64_t classes) {
  DatasetInfo info = made_for(kImagenetClasses, {});
  info.name = fmt::format("{} classes", classes);
  info.classes = classes;
  return info;
}

DatasetInfo show_unlabelled_to_file(Study& study, const StudyRequest& request,
                                    const GivenClasses& given) {
  const std::optional<int64_t> classes = known_classes(request, given);
  DatasetInfo info = given.names.empty() || !request.data.empty()
                         ? made_for(classes.value_or(kImagenetClasses), request.data)
                         : photographs(*classes);
  if (!request.data.empty() && info.name != dataset_info(request.data).name)
    throw UsageError(fmt::format(
        "{} knows {} classes, {} has {}: --data beside --pictures names "
        "what the network was made for; leave it out",
        request.weights, info.classes, request.data, dataset_info(request.data).classes));
  const std::vector<std::string> names =
      given.names.empty() ? described_dataset(info).test.classes : given.names;
  if (const int64_t side = stated_size(request); side > 0) info.height = info.width = side;
  show_unlabelled(study, request, info, names);
  return info;
}

DatasetInfo show_labelled_to_file(Study& study, const StudyRequest& request,
                                  const Preprocessing& how, const GivenClasses& given) {
  const std::string data = request.data.empty() ? "cifar10" : request.data;
  const std::optional<int64_t> classes = known_classes(request, given);
  DatasetInfo info = made_for_file(request, data, classes, given);
  const bool mapped = info.classes != dataset_info(data).classes;
  if (const int64_t side = stated_size(request); side > 0) info.height = info.width = side;
  check_image_size(request.model, info.height);
  load_pictures(study, {.name = data,
                        .data_dir = request.data_dir,
                        .image_size = info.height,
                        .skip_bad_pictures = request.skip_bad_pictures,
                        .preprocessing = how});
  if (given.names.empty()) {
    if (mapped) fit_classes(study, imagenet_class_names());
  } else if (study.data.test.classes != given.names) {
    label_as_known(study, given.names);
  }
  return info;
}

}  // namespace

void show_pictures_of_run(Study& study, const StudyRequest& request, const RunDescription& run) {
  const Preprocessing known = preprocessing_of(run.settings), how = shown_as(request, known);
  const int64_t side = request.img_size > 0 ? request.img_size : run.image_size;
  if (!request.pictures.empty()) {
    if (!request.data.empty())
      throw UsageError("--pictures and --data: both say what is shown; give one of them");
    DatasetInfo info = seen_by(run);
    info.height = info.width = side;
    show_unlabelled(study, request, info, run.data.classes);
  } else {
    DatasetRequest shown = pictures_of(run, request);
    shown.preprocessing = how;
    load_pictures(study, shown);
    if (request.data.empty()) check_pictures(run, shown, study);
    else if (!run.data.classes.empty()) fit_classes(study, run.data.classes);
  }
  prepare_pictures(study.data, how, side);
  note_shown(study, request, how, known, run.directory.filename().string());
}

DatasetInfo show_pictures_of_file(Study& study, const StudyRequest& request) {
  const auto of_file = preprocessing_of_file(request.weights, request.model);
  const Preprocessing known = of_file ? of_file->how : Preprocessing{},
                      how = shown_as(request, known);
  const GivenClasses given = given_classes(request);
  const DatasetInfo info = request.pictures.empty()
                               ? show_labelled_to_file(study, request, how, given)
                               : show_unlabelled_to_file(study, request, given);
  prepare_pictures(study.data, how, info.height);
  note_shown(study, request, how, known, of_file ? of_file->by : "");
  return info;
}

void check_classes(const std::string& name, const std::vector<std::string>& known,
                   const Study& study) {
  const std::string other = difference_of_classes(known, study.data.test.classes);
  if (other.empty() || study.data.test.count == 0) return;
  throw UsageError(fmt::format("{} knows other classes than {} has: {}; analyse it by itself", name,
                               study.data_name, other));
}

}  // namespace passband
