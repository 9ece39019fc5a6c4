// analyze: opens a trained network up and writes a report.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "analysis/analysis.h"
#include "analysis/report/text.h"
#include "models/run.h"
#include "models/weights.h"
#include "tensor/core/file.h"
#include "tensor/core/random.h"
#include "tensor/core/text.h"
#include "tensor/cpu/parallel.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr const char* kExamples = R"(examples:
  ./analyze --run last                              every analysis of the newest run
  ./analyze --run last --only cka,fourier           some of them; the report keeps the others
  ./analyze --run last --untrained                  random weights beside the trained ones
  ./analyze --run last --against 20260101-resnet    two runs side by side
  ./analyze --model resnet50 --weights FILE.safetensors --data cifar10
  ./analyze --list                                  names, questions, costs
)";

struct Options {
  std::string run, model, weights, data, data_dir, output, which = "best";
  std::vector<std::string> only, against;
  std::map<std::string, std::string> settings;  // "cka.estimator" -> "biased"
  int64_t images = 0;
  int threads = 0;
  bool untrained = false, json = false, list = false, fresh = false;
};

volatile std::sig_atomic_t stop_requested = 0;

[[noreturn]] void throw_unknown(const std::string& name, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& flag : option->get_lnames()) known.push_back("--" + flag);
  throw UsageError("unknown option '" + name + "' (--help shows all)" + did_you_mean(name, known));
}

bool parse(int argc, char** argv, Options& o) {
  CLI::App app{
      "Analyses a trained network: similarity, frequencies, variance, attention, calibration; writes a report."};
  app.footer(kExamples);
  app.allow_extras();
  app.add_option("--run", o.run, "run to analyse: last, a name, a unique prefix or a path");
  app.add_option("--checkpoint", o.which, "weights of the run: best, last, or a file name")->capture_default_str();
  app.add_option("--model", o.model, "name of a network, with --weights");
  app.add_option("--weights", o.weights, "safetensors file with timm's / torchvision's tensor names");
  app.add_option("--data", o.data, "data set (a run knows its own)");
  app.add_option("--data-dir", o.data_dir, "where it lies (else $PASSBAND_DATA, else data/downloads)");
  app.add_option("--only", o.only, "analyses by name, comma-separated")->delimiter(',');
  app.add_option("--against", o.against, "further runs to stand beside the first")->delimiter(',');
  app.add_flag("--untrained", o.untrained, "the same network with random weights beside the trained one");
  app.add_option("--images", o.images, "test pictures for each analysis (default: what each needs)")
      ->check(CLI::PositiveNumber);
  app.add_option("--output", o.output, "directory of the report (default: report/ in the run)");
  app.add_option("--threads", o.threads, "processor threads; 0 = the physical cores")->check(CLI::NonNegativeNumber);
  app.add_flag("--fresh", o.fresh, "compute again what the report already holds");
  app.add_flag("--json", o.json, "headline values on standard output");
  app.add_flag("--list", o.list, "what can be analysed");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (!app.remaining().empty()) throw_unknown(app.remaining().front(), app);
  return true;
}

void print_list(bool json) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Analysis& a : analyses()) {
    list.push_back({{"name", a.name}, {"question", a.question}, {"cost", a.cost}});
    if (!json) fmt::print("{:<12} {}\n{:<12} cost: {}\n", a.name, a.question, "", a.cost);
  }
  if (json) fmt::print("{}\n", list.dump(2));
}

std::vector<const Analysis*> chosen(const std::vector<std::string>& only) {
  std::vector<const Analysis*> result;
  std::vector<std::string> names;
  for (const Analysis& a : analyses()) names.push_back(a.name);
  for (const std::string& name : only) {
    const auto found = std::ranges::find(analyses(), name, &Analysis::name);
    if (found == analyses().end())
      throw UsageError("--only: unknown analysis '" + name + "' (--list shows all)" + did_you_mean(name, names));
  }
  for (const Analysis& a : analyses())
    if (only.empty() || std::ranges::find(only, a.name) != only.end()) result.push_back(&a);
  return result;
}

// What is to be analysed, and where the report goes.
struct Study {
  AnalysisInput input;
  DataSplits data;
  std::string data_name;
  fs::path report;
  ReportHeader header;
};

std::string digest_of(const Model& model) {
  const Tensor values = model.store().values();
  const std::string_view bytes(static_cast<const char*>(values.raw()),
                               static_cast<size_t>(values.numel() * size_of(values.dtype())));
  return fmt::format("{:016x}", site_of(bytes));
}

Subject make_subject(std::string label, std::shared_ptr<Model> model) {
  std::string digest = digest_of(*model);
  return {std::move(label), std::move(model), std::move(digest)};
}

RunCard card_of(const RunDescription& run, const Model& model) {
  return {run.directory.filename().string(),
          {{"model", run.model},
           {"pattern", model.pattern().empty() ? "-" : model.pattern()},
           {"parameters", format_number(static_cast<double>(model.store().parameter_count()), 12)},
           {"multiply-accumulates", fmt::format("{:.1f} M", static_cast<double>(model.macs()) / 1e6)},
           {"data", run.data},
           {"pictures", fmt::format("{0} × {0}", run.image_size)},
           {"seed", std::to_string(run.seed)}}};
}

void load_pictures(Study& study, const DatasetRequest& request) {
  study.data = load_dataset(request);
  study.data_name = request.name;
  study.input.data = &study.data.test;
  study.input.train = &study.data.train;
}

// The pictures that the run was trained on, unless the command line names others.
DatasetRequest pictures_of(const RunDescription& run, const Options& o) {
  return {.name = o.data.empty() ? run.data : o.data,
          .data_dir = o.data_dir.empty() ? run.data_dir : o.data_dir,
          .image_size = run.image_size,
          .shapes = shapes_options(run.shapes_label, run.shapes_conflict, run.shapes_train, run.shapes_test)};
}

void add_run(Study& study, const Options& o, const std::string& name) {
  const RunDescription run = read_run(find_run(name));
  std::shared_ptr<Model> model = load_run_model(run, o.which);
  const bool first = study.input.subjects.empty();
  if (first) {
    load_pictures(study, pictures_of(run, o));
    study.report = o.output.empty() ? run.directory / "report" : fs::path(o.output);
    study.header.title = fmt::format("{} on {}", run.model, study.data_name);
    study.header.subtitle = run.directory.filename().string();
  }
  if (model->options().classes != study.data.test.num_classes())
    throw UsageError(fmt::format("{}: the network knows {} classes, {} has {}", name, model->options().classes,
                                 study.data_name, study.data.test.num_classes()));
  study.header.runs.push_back(card_of(run, *model));
  const auto same = std::ranges::count(study.input.subjects, run.model, &Subject::label);
  Subject subject = make_subject(same ? run.directory.filename().string() : run.model, model);
  subject.run = std::make_shared<RunDescription>(run);
  study.input.subjects.push_back(std::move(subject));
}

void add_weights(Study& study, const Options& o) {
  const std::string data = o.data.empty() ? "cifar10" : o.data;
  const DatasetInfo info = dataset_info(data);
  std::shared_ptr<Model> model = make_model(o.model, {.classes = info.classes, .image_size = info.height});
  load_weights(o.weights, *model);
  load_pictures(study, {.name = data, .data_dir = o.data_dir, .image_size = info.height});
  study.report = o.output.empty() ? fs::path(o.weights).replace_extension("") += "-report" : fs::path(o.output);
  study.header.title = fmt::format("{} on {}", o.model, data);
  study.header.subtitle = fs::path(o.weights).filename().string();
  study.input.subjects.push_back(make_subject(o.model, model));
}

Study make_study(const Options& o) {
  Study study;
  if (!o.weights.empty()) {
    if (o.model.empty()) throw UsageError("--weights: name the network with --model");
    if (!o.run.empty()) throw UsageError("--weights and --run exclude each other");
    add_weights(study, o);
  } else {
    if (!o.model.empty()) throw UsageError("--model: give its --weights FILE.safetensors, or use --run");
    add_run(study, o, o.run.empty() ? "last" : o.run);
  }
  study.input.images = o.images;
  if (o.untrained) {
    const Subject& first = study.input.subjects.front();
    std::shared_ptr<Model> random = make_model(first.model->name(), first.model->options());
    study.input.subjects.push_back(make_subject(first.label + ", untrained", random));
  }
  for (const std::string& name : o.against) add_run(study, o, name);
  return study;
}

// Weights, data and settings that a section was computed from.
std::string key_of(const Study& study, const Analysis& analysis) {
  std::string key = fmt::format("{} {:016x} {}", analysis.name, fingerprint(study.data.test), study.input.images);
  for (const Subject& subject : study.input.subjects) key += " " + subject.label + " " + subject.fingerprint;
  return key;
}

void print_json(const Study& study) {
  fmt::print("{}\n", read_file(study.report / "summary.json"));
}

// The network in a plain sentence, for the head of the page.
std::string introduction(const Study& study) {
  const Model& model = *study.input.subjects.front().model;
  const std::string& pattern = model.pattern();
  std::string text = fmt::format("{} has {} parameters and spends {:.0f} million multiply-accumulates on a picture",
                                 study.input.subjects.front().label,
                                 format_number(static_cast<double>(model.store().parameter_count()), 12),
                                 static_cast<double>(model.macs()) / 1e6);
  if (!pattern.empty()) {
    const auto blocks = [&](char letter) { return std::ranges::count(pattern, letter); };
    text += fmt::format("; its {} blocks are {} convolution, {} self-attention and {} lambda blocks ({})",
                        blocks('C') + blocks('M') + blocks('L'), blocks('C'), blocks('M'), blocks('L'), pattern);
  }
  return text + ".";
}

int run_analyses(const Options& o, Study& study) {
  const std::vector<const Analysis*> list = chosen(o.only);
  study.header.answer = introduction(study);
  Report report(study.header);
  report.write(study.report);
  for (size_t i = 0; i < list.size() && !stop_requested; ++i) {
    const Analysis& analysis = *list[i];
    const std::string key = key_of(study, analysis);
    fmt::print(stderr, "[{}/{}] {:<12} ", i + 1, list.size(), analysis.name);
    std::fflush(stderr);
    if (!o.fresh && stored_key(study.report, analysis.name) == key) {
      fmt::print(stderr, "kept from before\n");
      continue;
    }
    const auto begin = std::chrono::steady_clock::now();
    Section section = run_analysis(analysis, with_settings(study.input, analysis, o.settings));
    section.key = key;
    report.add(std::move(section));
    report.write(study.report);
    fmt::print(stderr, "{:.1f} s\n",
               std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  if (o.json) {
    print_json(study);
  } else {
    fmt::print("report: {}\n", fs::absolute(study.report / "index.html").string());
  }
  return stop_requested ? 130 : 0;
}

int run(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return 0;
  if (options.list) {
    print_list(options.json);
    return 0;
  }
  if (options.threads > 0) set_thread_count(options.threads);
  std::signal(SIGINT, [](int signal) {
    stop_requested = 1;
    std::signal(signal, SIG_DFL);
  });
  chosen(options.only);
  Study study = make_study(options);
  std::string command = "./analyze";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  study.header.commands = {command};
  return run_analyses(options, study);
}

}  // namespace
}  // namespace passband

int main(int argc, char** argv) {
  using namespace passband;
  const auto fail = [](const std::exception& error, int code) {
    fmt::print(stderr, "analyze: {}\n", error.what());
    return code;
  };
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    return fail(error, 2);
  } catch (const DataError& error) {
    return fail(error, 3);
  } catch (const OutOfMemory& error) {
    return fail(error, 5);
  } catch (const std::bad_alloc& error) {
    return fail(error, 5);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
