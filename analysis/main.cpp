// analyze: opens a trained network up and writes a report.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "analysis/registry.h"
#include "analysis/report/report.h"
#include "analysis/study/along.h"
#include "analysis/study/console.h"
#include "analysis/study/study.h"
#include "tensor/core/file.h"
#include "tensor/core/random.h"
#include "tensor/core/text.h"
#include "tensor/cpu/parallel.h"
#include "tensor/device_choice.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr const char* kExamples = R"(examples:
  ./analyze --run last                              the quick set on the newest run: two minutes
  ./analyze --run last --full                       every analysis; finished sections are kept
  ./analyze --run last --only cka,fourier           some of them; the report keeps the others
  ./analyze --run last --only cka --set cka.estimator=biased
  ./analyze --run last --untrained                  random weights beside the trained ones
  ./analyze --run last --against 20260101-resnet 20260102-vit      runs side by side
  ./analyze --run last --along --only calibration   along the weights kept by --checkpoint-interval
  ./analyze --run last --device cuda                on a GPU; auto, the default, looks for one
  ./analyze --model resnet50 --weights FILE.safetensors --data cifar10
  ./analyze --list                                  names, questions, costs, options
)";

struct Options {
  StudyRequest study;
  std::vector<std::string> only;
  int threads = 0;
  bool full = false, along = false, json = false, list = false, fresh = false;
};

volatile std::sig_atomic_t stop_requested = 0;  // the signal

[[noreturn]] void throw_unknown(const std::string& name, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& flag : option->get_lnames()) known.push_back("--" + flag);
  throw UsageError("unknown option '" + name + "' (--help shows all)" + did_you_mean(name, known));
}

void add_assignments(const std::vector<std::string>& assignments, OptionTexts& settings) {
  for (const std::string& text : assignments) {
    const size_t dot = text.find('.'), equals = text.find('=');
    if (dot == std::string::npos || equals == std::string::npos || equals < dot)
      throw UsageError("--set: " + quote(text) +
                       " is not analysis.option=value (--list shows all)");
    settings[text.substr(0, equals)] = text.substr(equals + 1);
  }
}

bool parse(int argc, char** argv, Options& o) {
  CLI::App app{
      "Analyses a trained network and writes a report: what layers "
      "represent, which frequencies they pass, "
      "how far they look, how their loss is curved, how honest and how robust they are."};
  app.footer(kExamples);
  app.allow_extras();
  StudyRequest& study = o.study;
  std::vector<std::string> assignments;
  app.add_option("--run", study.run, "run to analyse: last, a name, a unique prefix or a path");
  app.add_option("--checkpoint", study.which, "weights of the run: best, last, or a file name")
      ->capture_default_str();
  app.add_option("--model", study.model, "name of a network, with --weights");
  app.add_option("--weights", study.weights,
                 "safetensors file with timm's / torchvision's tensor names");
  app.add_option("--data", study.data, "data set (a run knows its own)");
  app.add_option("--data-dir", study.data_dir,
                 "where it lies (else $PASSBAND_DATA, else data/downloads)");
  app.add_flag("--skip-bad-pictures", study.skip_bad_pictures,
               "of a folder: leave unreadable pictures out and count them");
  app.add_option("--only", o.only, "analyses by name, comma-separated")->delimiter(',');
  app.add_flag("--full", o.full, "every analysis, not only the quick set");
  app.add_option("--set", assignments, "analysis.option=value, see --list")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--against", study.against, "further runs to stand beside the first")
      ->delimiter(',');
  app.add_flag("--untrained", study.untrained,
               "the same network with random weights beside the trained one");
  app.add_flag("--along", o.along,
               "at each of the weights the runs kept (train --checkpoint-interval)");
  app.add_option("--images", study.images,
                 "test pictures for each analysis (default: what each needs)")
      ->check(CLI::PositiveNumber);
  app.add_option("--output", study.output, "directory of the report (default: report/ in the run)");
  app.add_option("--device", study.device,
                 "where networks run: auto, cpu, cuda, cuda:n, cuda-emulated")
      ->capture_default_str();
  app.add_option("--threads", o.threads,
                 "processor threads; 0 = OMP_NUM_THREADS, or the physical cores")
      ->check(CLI::NonNegativeNumber);
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
  add_assignments(assignments, study.settings);
  return true;
}

void print_json_list() {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Analysis& a : analyses()) {
    nlohmann::ordered_json options = nlohmann::ordered_json::array();
    for (const AnalysisOption& option : a.options.rows())
      options.push_back({{"name", a.name + "." + option.name},
                         {"default", option.standard},
                         {"meaning", option.meaning},
                         {"choices", option.choices}});
    list.push_back({{"name", a.name},
                    {"question", a.question},
                    {"cost", a.cost},
                    {"quick", a.quick},
                    {"options", options}});
  }
  fmt::print("{}\n", list.dump(2));
}

void print_list() {
  for (const Analysis& a : analyses()) {
    fmt::print("{:<14} {}\n{:<14} cost: {}{}\n", a.name, a.question, "", a.cost,
               a.quick ? "" : " (with --full or --only)");
    for (const AnalysisOption& option : a.options.rows())
      fmt::print("{:<14} --set {}.{}={}  {}{}\n", "", a.name, option.name, option.standard,
                 option.meaning, option.choices.empty() ? "" : ": " + join(option.choices));
  }
}

std::vector<const Analysis*> chosen(const Options& o) {
  for (const std::string& name : o.only) find_analysis(name);
  std::vector<const Analysis*> result;
  for (const Analysis& a : analyses()) {
    const bool named = std::ranges::find(o.only, a.name) != o.only.end();
    if (o.only.empty() ? a.quick || o.full : named) result.push_back(&a);
  }
  for (const auto& [name, value] : o.study.settings) {
    const Analysis& owner = find_analysis(std::string_view(name).substr(0, name.find('.')));
    with_settings({}, owner, o.study.settings);
    if (std::ranges::find(result, &owner) == result.end())
      throw UsageError(
          fmt::format("--set {}: {} is not among the analyses of this call; name it with --only",
                      name, owner.name));
  }
  return result;
}

// One section to make, or to keep when the report holds it under the same key.
struct Job {
  std::string name;  // of the section
  std::string key;
  double work = 0;  // forward passes of a picture
  std::function<Section(AnalysisInput)> run;
  AnalysisInput input;
};

std::vector<Job> make_jobs(const Options& o, const Study& study) {
  std::vector<Job> jobs;
  for (const Analysis* analysis : chosen(o)) {
    const AnalysisInput input = with_settings(study.input, *analysis, o.study.settings);
    if (o.only.empty() && !what_lacks(*analysis, input).empty()) continue;
    const auto subjects = static_cast<double>(input.subjects.size());
    if (o.along) {
      jobs.push_back({along_name(*analysis), along_key(*analysis, input), 0,
                      [analysis](const AnalysisInput& in) { return along_section(*analysis, in); },
                      input});
      for (const Subject& subject : input.subjects)
        jobs.back().work += analysis->work * static_cast<double>(checkpoints(*subject.run).size());
    } else {
      jobs.push_back(
          {analysis->name, section_key(*analysis, input), analysis->work * subjects,
           [analysis](AnalysisInput in) { return run_analysis(*analysis, std::move(in)); }, input});
    }
  }
  return jobs;
}

double mean_picture_seconds(const Study& study) {
  double total = 0;
  for (const Subject& subject : study.input.subjects) total += seconds_per_picture(*subject.model);
  return total / static_cast<double>(study.input.subjects.size());
}

// What a call with --full would compute beyond this one.
std::string what_full_adds(const Options& o, const Study& study, double picture_seconds) {
  std::vector<std::string> names;
  double work = 0;
  for (const Analysis& a : analyses()) {
    if (a.quick || !what_lacks(a, with_settings(study.input, a)).empty()) continue;
    names.push_back(a.name);
    work += a.work * static_cast<double>(study.input.subjects.size());
  }
  if (o.full || o.along || !o.only.empty() || names.empty()) return {};
  return fmt::format("--full adds {} (about {})", join(names),
                     format_duration(work * picture_seconds));
}

// What the program ends with after a failure.
int exit_code(const std::exception& error) {
  if (dynamic_cast<const UsageError*>(&error)) return 2;
  if (dynamic_cast<const DataError*>(&error)) return 3;
  if (dynamic_cast<const OutOfMemory*>(&error) || dynamic_cast<const std::bad_alloc*>(&error))
    return 5;
  return 1;
}

// Runs one job into the report. Returns the exit code of its failure, 0 when it went well.
int run_job(Job& job, const fs::path& directory, Report& report, Console& console) {
  const fs::path partial = directory / "partial" / fmt::format("{:016x}", site_of(job.key));
  fs::create_directories(partial);
  job.input.partial_directory = partial;
  job.input.progress = Progress([&](const Progress::Report& state) {
    if (stop_requested) throw Interrupted();
    console.update(state);
  });
  const auto begin = std::chrono::steady_clock::now();
  try {
    Section section = job.run(job.input);
    section.name = job.name;
    section.key = job.key;
    report.add(std::move(section));
    report.write(directory);
  } catch (const Error& error) {
    console.end(fmt::format("failed: {}", error.what()));
    return exit_code(error);
  }
  fs::remove_all(partial);
  std::error_code not_empty;
  fs::remove(directory / "partial", not_empty);
  console.end(fmt::format(
      "{:.1f} s", std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()));
  return 0;
}

int run_jobs(std::vector<Job>& jobs, const Options& o, Study& study, Report& report) {
  Console console(jobs.size());
  int code = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (stop_requested) return 128 + stop_requested;
    console.begin(i, jobs[i].name);
    if (!o.fresh && stored_key(study.report, jobs[i].name) == jobs[i].key) {
      console.end("kept from before");
      continue;
    }
    try {
      const int failed = run_job(jobs[i], study.report, report, console);
      if (code == 0) code = failed;
    } catch (const Interrupted&) {
      console.end("stopped");
      return 128 + stop_requested;
    }
  }
  return code;
}

// What earlier calls put into the report stays there: their commands, and the runs that they
// compared.
void keep_earlier(const fs::path& report, ReportHeader& header) {
  if (!fs::is_regular_file(report / "summary.json")) return;
  const auto before =
      nlohmann::json::parse(read_file(report / "summary.json"), nullptr, /*exceptions=*/false);
  if (!before.is_object()) return;
  const auto list = [&](const char* key) { return before.value(key, nlohmann::json::array()); };
  std::vector<std::string> commands;
  for (const auto& line : list("commands"))
    if (line.is_string() && line != header.commands.back()) commands.push_back(line);
  commands.push_back(header.commands.back());
  header.commands = std::move(commands);
  for (const auto& run : list("runs")) {
    const std::string name = run.value("name", "");
    if (std::ranges::find(header.runs, name, &RunCard::name) != header.runs.end()) continue;
    RunCard& card = header.runs.emplace_back(RunCard{.name = name});
    const nlohmann::json settings = run.value("settings", nlohmann::json::object());
    for (const auto& [key, value] : settings.items())
      if (value.is_string()) card.settings.emplace_back(key, value);
  }
}

// Sections that the report holds from other weights or pictures than those under study.
std::vector<std::string> stale_sections(const Study& study) {
  std::vector<std::string> stale;
  const std::string pictures = fmt::format("{:016x}", fingerprint(*study.input.data));
  for (const std::string& name : stored_sections(study.report)) {
    const std::string key = stored_key(study.report, name).value_or("");
    const auto names = [&](const std::string& part) { return key.find(part) != std::string::npos; };
    if (!names(study.input.subjects[0].fingerprint) || !names(pictures)) stale.push_back(name);
  }
  return stale;
}

// Sections as the table of analyses has them, then those along a training.
std::vector<std::string> page_order() {
  std::vector<std::string> names;
  for (const Analysis& analysis : analyses()) names.push_back(analysis.name);
  for (const Analysis& analysis : analyses()) names.push_back(along_name(analysis));
  return names;
}

int run(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return 0;
  if (options.list) {
    options.json ? print_json_list() : print_list();
    return 0;
  }
  if (options.study.device == "cuda-emulated" && cuda_backend() != CudaBackend::emulated)
    run_emulated_sibling(argv);
  if (options.threads > 0) set_thread_count(options.threads);
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int number) {
      stop_requested = number;
      std::signal(number, SIG_DFL);  // a second one ends the program at once
    });
  chosen(options);
  Study study;
  make_study(options.study, study);
  std::vector<Job> jobs = make_jobs(options, study);
  for (const std::string& note : study.notes) fmt::print(stderr, "{}\n", note);
  std::string command = "./analyze";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  study.header.commands = {command};
  study.header.order = page_order();
  keep_earlier(study.report, study.header);
  study.header.stale = stale_sections(study);
  std::vector<std::string> kept = study.header.stale;
  std::erase_if(kept, [&](const auto& name) {
    return std::ranges::find(jobs, name, &Job::name) != jobs.end();
  });
  if (!kept.empty())
    fmt::print(stderr,
               "the report keeps sections of other weights or pictures, marked as stale: {}\n",
               join(kept));
  Report report(study.header);
  report.write(study.report);

  const double picture_seconds = mean_picture_seconds(study);
  double work = 0;
  for (const Job& job : jobs)
    if (options.fresh || stored_key(study.report, job.name) != job.key) work += job.work;
  if (work > 0)
    fmt::print(stderr, "{} sections, about {} on {}\n", jobs.size(),
               format_duration(work * picture_seconds),
               describe_device(study.input.subjects.front().model->device()));
  const int code = run_jobs(jobs, options, study, report);
  if (options.json) {
    fmt::print("{}\n", read_file(study.report / "summary.json"));
  } else {
    fmt::print("report: {}\n", fs::absolute(study.report / "index.html").string());
  }
  if (stop_requested && code == 128 + stop_requested) {
    fmt::print(stderr, "stopped; finished sections are kept, and the same command goes on\n");
    return code;
  }
  const std::string more = what_full_adds(options, study, picture_seconds);
  if (!more.empty()) fmt::print(stderr, "{}\n", more);
  return code;
}

}  // namespace
}  // namespace passband

int main(int argc, char** argv) {
  using namespace passband;
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "analyze: {}\n", error.what());
    return exit_code(error);
  }
}
