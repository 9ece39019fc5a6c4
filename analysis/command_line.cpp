#include "analysis/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "analysis/registry.h"
#include "models/command_words.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr const char* kExampleCalls = R"(examples:
  ./analyze --run last                              the quick set on the newest run
  ./analyze --run last --full                       every analysis; finished sections are kept
  ./analyze --run last --minutes 1                  what a minute holds, with fewer pictures
  ./analyze --run last --only cka,fourier           some of them; the report keeps the others
  ./analyze --run last --only cka --set cka.estimator=biased
  ./analyze --run last --untrained                  random weights beside the trained ones
  ./analyze --run last --against 20260101-resnet 20260102-vit      runs side by side
  ./analyze --run last --along --only calibration   along the weights kept by --checkpoint-interval
  ./analyze --run last --explore                    a page that runs the network, to change it
  ./analyze --run last --serve                      the same page, served: for large networks
  ./analyze --run last --device cuda                on a GPU; auto, the default, looks for one
  ./analyze --model resnet50 --weights FILE.safetensors --data cifar10
  ./analyze --model resnet50 --weights A.safetensors --against B.safetensors --data imagenette
  ./analyze --model resnet50 --weights A.safetensors --pictures FOLDER    any pictures, no labels
  ./analyze --list                                  names, questions, costs, options
)";

[[noreturn]] void throw_unknown(const std::string& name, const CLI::App& app) {
  if (!name.starts_with("-"))
    throw UsageError(fmt::format("{} stands alone; a run is named by --run {}", quote(name), name));
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& flag : option->get_lnames()) known.push_back("--" + flag);
  const std::string flag = name.substr(0, name.find('='));
  throw UsageError("unknown option '" + flag + "' (--help shows all)" + did_you_mean(flag, known));
}

void add_assignments(const std::vector<std::string>& assignments, OptionTexts& settings) {
  for (const std::string& text : assignments) {
    const size_t dot = text.find('.'), equals = text.find('=');
    if (dot == std::string::npos || equals == std::string::npos || equals < dot)
      throw UsageError("--set: " + quote(text) +
                       " is not analysis.option=value (--list shows all)");
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    const auto [said, first] = settings.try_emplace(name, value);
    if (!first && said->second != value)
      throw UsageError(fmt::format("--set: {} is said twice, {} and {}; say it once", name,
                                   quote(said->second), quote(value)));
  }
}

// Refuses what is no whole number from `least` on; `rule` says what is.
CLI::Validator whole_number(int64_t least, const std::string& rule) {
  return CLI::Validator(
      [least, rule](const std::string& text) {
        int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [read, error] = std::from_chars(text.data(), end, value);
        const bool fits = error == std::errc{} && read == end && value >= least;
        return fits ? std::string() : quote(text) + " does not do: give " + rule;
      },
      "NUMBER");
}

void add_subject_options(CLI::App& app, StudyRequest& study) {
  app.add_option("--run", study.run, "run to analyse: last, a name, a unique prefix or a path");
  app.add_option("--checkpoint", study.which, "weights of the run: best, last, or a file name")
      ->capture_default_str();
  app.add_option("--model", study.model, "name of a network, with --weights");
  app.add_option(
      "--weights", study.weights,
      "file of weights: safetensors or PyTorch's, names of timm, torchvision or transformers");
  app.add_option("--data", study.data, "data set (a run knows its own)");
  app.add_option("--pictures", study.pictures,
                 "a folder of any pictures, shown without labels in place of a data set");
  app.add_option("--data-dir", study.data_dir,
                 "where it lies (else $PASSBAND_DATA, else data/downloads)");
  app.add_flag("--skip-bad-pictures", study.skip_bad_pictures,
               "of a folder: leave unreadable pictures out and count them");
  app.add_option("--against", study.against,
                 "further runs, files of weights or MODEL=FILE, to stand beside the first")
      ->delimiter(',');
  app.add_option("--mean", study.mean,
                 "of pixels in [0, 1]: 0.5, or 0.485,0.456,0.406 (default: as the run or the file "
                 "knows it, else the data set's)");
  app.add_option("--std", study.std, "their deviation, likewise");
  app.add_option("--crop-pct", study.crop_pct,
                 "side of the crop relative to the shorter side, with --interpolation")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--interpolation", study.interpolation,
                 "Pillow's filter, as timm and torchvision test")
      ->check(CLI::IsMember({"auto", "bilinear", "bicubic"}));
  app.add_option("--img-size", study.img_size,
                 "side of the pictures, to which tables of positions are fitted (default: as the "
                 "run or the name of the network says, else the data set's)")
      ->check(whole_number(8, "a number of pixels from 8 on"));
  app.add_option("--classes", study.classes,
                 "with --weights: the classes that the network knows, in its order: names, a file "
                 "of names, one a line, or how many")
      ->delimiter(',');
  app.add_flag("--untrained", study.untrained,
               "the same network with random weights beside the trained one");
}

void add_work_options(CLI::App& app, AnalyzeOptions& o, std::vector<std::string>& assignments) {
  app.add_option("--only", o.only, "analyses by name, comma-separated")->delimiter(',');
  app.add_flag("--full", o.full, "every analysis, not only the quick set");
  app.add_option("--set", assignments, "analysis.option=value, see --list")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--along", o.along,
               "at each of the weights the runs kept (train --checkpoint-interval)");
  app.add_option("--images", o.study.images,
                 "test pictures for each analysis (default: what each needs)")
      ->check(whole_number(1,
                           "a number of pictures from 1 on, or leave --images out for what "
                           "each analysis needs"));
  app.add_option("--minutes", o.minutes,
                 "time for this call: with fewer pictures, and without the sections that still do "
                 "not fit, which are named; the cheapest first")
      ->check(CLI::Validator(
          [](const std::string& text) {
            double value = 0;
            const char* const end = text.data() + text.size();
            const auto [read, error] = std::from_chars(text.data(), end, value);
            const bool fits = error == std::errc{} && read == end && value > 0 && value <= 1e6;
            return fits ? std::string() : quote(text) + " does not do: give minutes, above 0";
          },
          "NUMBER"));
  app.add_option("--output", o.study.output,
                 "directory of the report (default: report/ in the run)");
  app.add_option("--device", o.study.device,
                 "where networks run: auto, cpu, cuda, cuda:n, cuda-emulated")
      ->capture_default_str();
  app.add_option("--threads", o.threads,
                 "processor threads; 0 = OMP_NUM_THREADS, or the physical cores")
      ->check(whole_number(0,
                           "a number of threads from 1 on, or 0 for OMP_NUM_THREADS or the "
                           "physical cores"));
  app.add_option("--processes", o.processes,
                 "start so many by mpirun, which split the pictures of most analyses (--list names "
                 "those that are the first one's alone)")
      ->check(whole_number(1, "a number of processes from 1 on"));
  app.add_flag("--explore", o.explore,
               "write explore.html beside the report: the network itself, to look into and to "
               "change (with --against, --untrained or --along: further ones)");
  app.add_flag("--serve", o.serve,
               "serve that page to a browser of this machine, over the program itself: for "
               "networks too large for a page; Ctrl-C ends it");
  app.add_option("--port", o.port, "of --serve: the first port to try")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_flag("--fresh", o.fresh, "compute again what the report already holds");
  app.add_flag("--json", o.json, "headline values on standard output");
  app.add_flag("--list", o.list, "what can be analysed");
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
                    {"splits_pictures", a.splits_pictures},
                    {"options", options}});
  }
  fmt::print("{}\n", list.dump(2));
}

void print_plain_list() {
  for (const Analysis& a : analyses()) {
    fmt::print("{:<14} {}\n{:<14} cost: {}{}{}\n", a.name, a.question, "", a.cost,
               a.quick ? "" : " (with --full or --only)",
               a.splits_pictures ? "" : "; by one process");
    for (const AnalysisOption& option : a.options.rows())
      fmt::print("{:<14} --set {}.{}={}  {}{}\n", "", a.name, option.name, option.standard,
                 option.meaning, option.choices.empty() ? "" : ": " + join(option.choices));
  }
}

}  // namespace

bool parse_command_line(int argc, char** argv, AnalyzeOptions& options) {
  CLI::App app{
      "Analyses a trained network and writes a report: what layers represent, which frequencies "
      "they pass, how far they look, how their loss is curved, how honest and how robust they "
      "are."};
  app.footer(kExampleCalls);
  app.allow_extras();
  std::vector<std::string> assignments;
  add_subject_options(app, options.study);
  add_work_options(app, options, assignments);
  try {
    app.parse(reversed_words(argc, argv));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (!app.remaining().empty()) throw_unknown(app.remaining().front(), app);
  add_assignments(assignments, options.study.settings);
  if (options.explore && options.serve)
    throw UsageError("--explore writes the page that --serve serves; give one of them");
  if (options.serve && (!options.only.empty() || options.full || options.minutes > 0))
    throw UsageError(
        "--serve serves the explorer alone; leave out --only, --full and --minutes, and make the "
        "report by another call");
  if (options.explore && (!options.only.empty() || options.full || options.minutes > 0))
    throw UsageError(
        "--explore writes explore.html alone; leave out --only, --full and --minutes, and make the "
        "report by another call");
  return true;
}

void print_list(bool json) { json ? print_json_list() : print_plain_list(); }

}  // namespace passband
