#include "train/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "models/command_words.h"
#include "tensor/core/text.h"
#include "tensor/core/version.h"
#include "train/config.h"
#include "train/listing.h"

namespace passband {
namespace {

constexpr const char* kExamples = R"(examples:
  ./train --model alternet                          the quick recipe: CIFAR-10, for five minutes
  ./train --model alternet --minutes 30             for thirty
  ./train --model CC.CM.CM.CM --data shapes         any hybrid is a model name (--list models)
  ./train --model vit --epochs 40 --lr 5e-4 --mixup 0.8
  ./train --model alternet --data shapes --live     with a page to watch it by
  ./train --resume last                             go on with the newest run
  ./train --processes 4 --model vit                 on four processes; or: mpirun -n 4 ./train ...
  ./train --pack FOLDER shards                      tar shards from a folder; then --data shards
  ./train --recipe last --seed 43                   the newest run again, with another seed
  ./train --list models --data cifar100             names, patterns, parameters, MACs
  ./train --list models --pattern CC.CW.CS.CD       and measured images/s, of any pattern
)";

std::string flag_of(const char* key) {
  std::string flag = std::string("--") + key;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

void split_assignment(const std::string& text, Values& values) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) throw UsageError("--set: '" + text + "' is not key=value");
  std::string key = text.substr(0, equals);
  std::ranges::replace(key, '-', '_');
  values.emplace_back(key, text.substr(equals + 1));
}

// Names an unknown option and its nearest neighbours.
[[noreturn]] void throw_unknown(const std::string& name, const CLI::App& app) {
  if (!name.starts_with('-'))
    throw UsageError("'" + name + "' belongs to no option (--help shows all)");
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& flag : option->get_lnames()) known.push_back("--" + flag);
  throw UsageError("unknown option '" + name + "' (--help shows all)" +
                   did_you_mean(name.substr(0, name.find('=')), known));
}

// A setting is said once: of --lr 1 and --set lr=2 one would go unheard.
void check_said_once(const Values& given) {
  for (size_t i = 0; i < given.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      if (given[k].first == given[i].first && given[k].second != given[i].second)
        throw UsageError(fmt::format("{}: is said twice, {} and {}; say it once", given[i].first,
                                     quote(given[k].second), quote(given[i].second)));
}

void add_settings(CLI::App& app, Options& options) {
  Values& given = options.given;
  for (const Setting& s : settings()) {
    const bool flag = s.is_flag();
    const auto take = [&, flag, key = std::string(s.key)](const CLI::results_t& texts) {
      const bool bare = texts.empty() || texts[0].empty();
      if (bare && key == "recipe") {
        options.list = "recipes";
        return true;
      }
      if (bare && !flag) throw UsageError(flag_of(key.c_str()) + ": is empty");
      given.emplace_back(key, bare ? "true" : join(texts, " "));
      return true;
    };
    std::string names = flag_of(s.key);
    if (names == "--batch-size") names = "-b," + names;
    CLI::Option* option =
        app.add_option(names, take, help_of(s))->group(fmt::format("[{}]", s.section));
    if (flag || names == "--recipe") option->expected(0, 1);
    if (s.is_pair()) option->expected(1, 2);
    if (names == "--decay-milestones") option->expected(1, 100);
  }
}

void add_watch_options(CLI::App& app, Options& options) {
  app.add_option("--log", options.log,
                 "tensorboard: write event files for TensorBoard beside metrics.jsonl")
      ->check(CLI::IsMember({"tensorboard"}));
  app.add_flag("--live", options.live,
               "serve a page to a browser of this machine while it trains: curves, pictures with "
               "what the network says of them, spectra of three layers");
  app.add_option("--port", options.port, "of --live: the first port to try")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
}

void add_profile_option(CLI::App& app, Options& options) {
  static constexpr int64_t kDefault = 10, kMost = 10000;
  app.add_option(
         "--profile",
         [&options](const CLI::results_t& texts) {
           const bool bare = texts.empty() || texts[0].empty();
           options.profile = kDefault;
           if (!bare && (!CLI::detail::lexical_cast(texts[0], options.profile) ||
                         options.profile < 1 || options.profile > kMost))
             throw UsageError(fmt::format("--profile: {} is not a number of steps from 1 to {}",
                                          quote(texts[0]), kMost));
           return true;
         },
         fmt::format("write profile.json into the run's folder, for chrome://tracing or Perfetto: "
                     "what each process does in so many steps, from the third, and in the first "
                     "evaluation after them [{}]",
                     kDefault))
      ->expected(0, 1);
}

void add_run_options(CLI::App& app, Options& options) {
  app.add_option(
         "--runs",
         [&](const CLI::results_t& names) {
           options.runs = names;
           std::erase(*options.runs, "");
           return true;
         },
         "the runs there are, best first; of two, what differs")
      ->expected(0, 2);
  app.add_option("--delete", options.deleted, "with --runs: delete the run of just this name");
}

void add_pack_options(CLI::App& app, Options& options) {
  app.add_option("--pack", options.pack,
                 "write tar shards from a folder of pictures: --pack FOLDER OUT")
      ->expected(2);
  app.add_option("--pack-shards", options.pack_shards,
                 "with --pack: how many of the training pictures (else of at most 500 MB, at least "
                 "four)")
      ->check(CLI::Range(1, 1'000'000));
  app.add_flag("--pack-shuffle", options.pack_shuffle,
               "with --pack: in an order drawn by --seed, not the folder's");
}

void check_pack(const Options& options) {
  if (options.pack.empty() && (options.pack_shards > 0 || options.pack_shuffle))
    throw UsageError("--pack-shards and --pack-shuffle: go with --pack FOLDER OUT");
  if (!options.pack.empty() && (options.resume || options.runs || !options.list.empty()))
    throw UsageError("--pack: goes without --resume, --runs and --list");
}

void check_runs(const Options& options) {
  if (!options.deleted.empty() && (!options.runs || !options.runs->empty()))
    throw UsageError("--delete: goes with --runs alone: ./train --runs --delete NAME");
  if (!options.deleted.empty() && options.dry_run)
    throw UsageError("--delete: deletes at once; leave out --dry-run, or --delete");
  if (options.runs && options.runs->size() == 1)
    throw UsageError("--runs: compares two runs; it was given one: " + options.runs->front());
}

// With the values that would be used: those of the recipe for the model that was named.
void print_help(CLI::App& app, const Values& given) {
  const RunSettings resolved = resolve(given);
  for (const Setting& s : settings()) {
    const std::string text = value_text(resolved, s);
    app.get_option(flag_of(s.key))->default_str(text.empty() ? "none" : text);
  }
  fmt::print("{}", app.help());
}

}  // namespace

std::optional<Options> parse_command_line(int argc, const char* const* argv) {
  Options options;
  CLI::App app{
      "Trains ResNet, LambdaResNet, ViT, AlterNet and their hybrids; writes "
      "runs/<time>-<model>-<data>/.",
      "train"};
  app.footer(kExamples);
  app.allow_extras();
  app.set_help_flag();
  std::vector<std::string> assignments;
  bool amp = false, help = false, show_version = false;
  app.add_flag("-h,--help", help, "this page, with the values of the recipe for the --model given");
  app.add_flag("--version", show_version, "print the version and stop");
  app.add_option("--set", assignments, "key=value, any setting")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--resume", options.resume, "go on with a run: last, a name, a prefix or a path");
  app.add_option("--output", options.output, "directory for the run instead of runs/");
  app.add_option("--list", options.list, "models, data, settings or recipes");
  app.add_option("--pattern", options.patterns,
                 "with --list models: parameters, MACs and measured images/s of these networks");
  app.add_flag("--json", options.json, "machine-readable result on standard output");
  app.add_flag("--quiet", options.quiet, "print the result and warnings only");
  add_watch_options(app, options);
  app.add_flag("--doctor", options.doctor,
               "say what of this machine can be used, what is missing, and what to do");
  app.add_flag("--dry-run", options.dry_run,
               "check all that the run would check, print its configuration and stop");
  app.add_flag("--amp", amp, "same as --precision bf16");
  add_settings(app, options);
  add_profile_option(app, options);
  add_run_options(app, options);
  add_pack_options(app, options);
  try {
    app.parse(reversed_words(argc, argv));
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (show_version) {
    fmt::print("Passband {}\n", version());
    return {};
  }
  if (!app.remaining().empty()) throw_unknown(app.remaining().front(), app);
  check_runs(options);
  check_pack(options);
  if (amp) options.given.emplace_back("precision", "bf16");
  for (const std::string& text : assignments) split_assignment(text, options.given);
  check_said_once(options.given);
  if (help) {
    print_help(app, options.given);
    return {};
  }
  return options;
}

}  // namespace passband
