// train: trains a network and writes a run directory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "data/subset.h"
#include "models/run.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"
#include "tensor/cpu/parallel.h"
#include "tensor/device_choice.h"
#include "train/doctor.h"
#include "train/listing.h"
#include "train/trainer.h"

namespace passband {
namespace {

constexpr const char* kExamples = R"(examples:
  ./train --model alternet                          the quick recipe: CIFAR-10 in five minutes
  ./train --model CC.CM.CM.CM --data shapes         any hybrid of C, M and L blocks is a model name
  ./train --model vit --epochs 40 --lr 5e-4 --mixup 0.8
  ./train --resume last                             go on with the newest run
  ./train --list models --data cifar100             names, patterns, parameters, MACs
)";

struct Options {
  Values given;  // settings from the command line, in order
  std::string resume, output, list;
  bool json = false, dry_run = false, doctor = false;
};

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
[[noreturn]] void throw_unknown(const std::vector<std::string>& extras, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string& name = extras.front();
  throw UsageError("unknown option '" + name + "' (--help shows all)" +
                   did_you_mean(name.substr(0, name.find('=')), known));
}

// Parses the command line. Returns false when help was asked for (and printed).
bool parse(int argc, char** argv, Options& options) {
  CLI::App app{
      "Trains ResNet, LambdaResNet, ViT, AlterNet and their hybrids; writes "
      "runs/<time>-<model>-<data>/."};
  app.footer(kExamples);
  app.allow_extras();
  std::vector<std::string> assignments;
  bool amp = false;
  app.add_option("--set", assignments, "key=value, any setting")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--resume", options.resume, "go on with a run: last, a name, a prefix or a path");
  app.add_option("--output", options.output, "directory for the run instead of runs/");
  app.add_option("--list", options.list, "models, data, settings or recipes");
  app.add_flag("--json", options.json, "machine-readable result on standard output");
  app.add_flag("--doctor", options.doctor,
               "say what of this machine can be used, what is missing, and what to do");
  app.add_flag("--dry-run", options.dry_run, "print the resolved configuration and stop");
  app.add_flag("--amp", amp, "same as --precision bf16");
  for (const Setting& s : settings()) {
    std::string help = s.help;
    if (!s.choices.empty()) help += ": " + join(s.choices);
    const auto take = [&options, key = std::string(s.key)](const CLI::results_t& texts) {
      options.given.emplace_back(key, texts.empty() || texts[0].empty() ? "true" : texts[0]);
      return true;
    };
    std::string names = flag_of(s.key);
    if (names == "--batch-size") names = "-b," + names;
    CLI::Option* option = app.add_option(names, take, help)->group(fmt::format("[{}]", s.section));
    if (std::holds_alternative<bool TrainConfig::*>(s.member)) option->expected(0, 1);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (!app.remaining().empty()) throw_unknown(app.remaining(), app);
  if (amp) options.given.emplace_back("precision", "bf16");
  for (const std::string& text : assignments) split_assignment(text, options.given);
  return true;
}

// Settings that a continued run may change; the others define it.
TrainConfig resumed_config(const std::filesystem::path& run, const Values& given) {
  TrainConfig config = from_toml(read_file(run / "config.toml"), (run / "config.toml").string());
  config.steps = 0;
  const std::vector<std::string> free = {"steps",         "epochs",        "threads",
                                         "data_dir",      "eval_interval", "eval_batch_size",
                                         "eval_pictures", "device",        "graph"};
  for (const auto& [key, text] : given) {
    if (std::ranges::find(free, key) == free.end())
      throw UsageError(fmt::format(
          "--resume: {} belongs to the run and can not change (only {} can); start a new run", key,
          join(free)));
    set_value(config, key, text);
  }
  return config;
}

void print_result(const TrainResult& result, const Trainer& trainer, bool json) {
  const std::string directory = trainer.directory().string();
  if (json) {
    const Evaluation& test = result.test ? *result.test : result.last;
    nlohmann::ordered_json line = {{"run", directory},
                                   {"epoch", result.epoch},
                                   {"step", result.step},
                                   {"test_loss", test.loss},
                                   {"top1", test.top1},
                                   {"top5", test.top5},
                                   {"test_pictures", test.count},
                                   {"best_top1", result.best_top1},
                                   {"best_epoch", result.best_epoch},
                                   {"train_seconds", result.seconds},
                                   {"images_per_s", result.images_per_second},
                                   {"parameters", trainer.model().store().parameter_count()}};
    if (result.test) {
      line["val_loss"] = result.last.loss;
      line["val_top1"] = result.last.top1;
      line["val_pictures"] = result.last.count;
    }
    fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  if (result.signal) {
    fmt::print("stopped at step {} and saved; go on with: ./train --resume {}\n", result.step,
               directory);
    return;
  }
  if (result.test)
    fmt::print("test top-1 {:.2f} % on {} pictures, by the weights of epoch {}\n",
               100 * result.test->top1, result.test->count, result.best_epoch);
  fmt::print(
      "top-1 {:.2f} % of {} {} pictures, best {:.2f} % (epoch {}), trained {} at {:.0f} "
      "images/s\nrun: {}\n",
      100 * result.last.top1, result.last.count, result.test ? "val" : "test",
      100 * result.best_top1, result.best_epoch, format_duration(result.seconds),
      result.images_per_second, directory);
}

std::string where(Device device) {
  return device.is_cuda() ? describe_device(device) : fmt::format("{} threads", thread_count());
}

int run(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return 0;
  if (options.doctor) {
    print_examination(examine(), options.json);
    return 0;
  }
  if (!options.list.empty()) {
    TrainConfig shown;
    for (const auto& [key, text] : options.given) set_value(shown, key, text);
    print_list(options.list, shown.data, shown.img_size, options.json);
    return 0;
  }
  const std::filesystem::path resume = options.resume.empty() ? "" : find_run(options.resume);
  const TrainConfig config =
      resume.empty() ? resolve(options.given) : resumed_config(resume, options.given);
  if (config.device == "cuda-emulated" && cuda_backend() != CudaBackend::emulated)
    run_emulated_sibling(argv);
  if (config.threads > 0) set_thread_count(static_cast<int>(config.threads));
  const DatasetInfo info = dataset_info(dataset_request(config));
  if (options.dry_run) {
    fmt::print("{}", to_toml(config, info.classes, model_options(config, info).image_size));
    return 0;
  }
  StopSignals signals;
  DataSplits data = load_dataset(dataset_request(config));
  std::string found = what_was_found(data);
  if (config.data_fraction < 1) {
    data.train = subset(data.train, config.data_fraction);
    found += fmt::format("; trains on {} of them", data.train.count);
  }
  fmt::print(stderr, "{}\n", found);
  const std::filesystem::path parent =
      options.output.empty() ? runs_directory() : std::filesystem::path(options.output);
  Trainer trainer(config, data, parent, resume);
  if (trainer.finished() && !resume.empty()) {
    fmt::print("{} is finished; give --epochs to train longer\n", trainer.directory().string());
    return 0;
  }
  ProgressLine progress;
  progress.note(
      fmt::format("{} on {}: {} parameters, {:.1f} M MACs a picture, {}, {}\n{}", config.model,
                  config.data, trainer.model().store().parameter_count(),
                  static_cast<double>(trainer.model().macs()) / 1e6, where(trainer.device()),
                  name_of(compute_type(config, trainer.device())), trainer.directory().string()));
  const TrainResult result = trainer.run(signals, progress);
  print_result(result, trainer, options.json);
  return result.signal == 0 ? 0 : 128 + (result.signal == SIGTERM ? SIGTERM : SIGINT);
}

}  // namespace
}  // namespace passband

int main(int argc, char** argv) {
  using namespace passband;
  const auto fail = [](const std::exception& error, int code) {
    fmt::print(stderr, "train: {}\n", error.what());
    return code;
  };
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    return fail(error, 2);
  } catch (const DataError& error) {
    return fail(error, 3);
  } catch (const NonFiniteLoss& error) {
    return fail(error, 4);
  } catch (const OutOfMemory& error) {
    return fail(error, 5);
  } catch (const std::bad_alloc& error) {
    return fail(error, 5);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
