// train: trains a network and writes a run directory.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "data/data_title.h"
#include "data/shard_names.h"
#include "data/subset.h"
#include "models/presets.h"
#include "models/run.h"
#include "tensor/core/checksum.h"
#include "tensor/core/collective.h"
#include "tensor/core/parallel.h"
#include "tensor/core/process_launch.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/text.h"
#include "tensor/cpu/level.h"
#include "tensor/device_choice.h"
#include "train/beginning.h"
#include "train/command_line.h"
#include "train/doctor.h"
#include "train/launch.h"
#include "train/listing.h"
#include "train/live/live_view.h"
#include "train/pack.h"
#include "train/recipes.h"
#include "train/run_list.h"
#include "train/say.h"
#include "train/session.h"
#include "train/trainer.h"

namespace passband {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

constexpr const char* kNoMemory = "train: out of memory; use a smaller --batch-size\n";

void print_result(const TrainResult& result, const Trainer& trainer, const RunConfig& config,
                  bool json) {
  const std::string directory = trainer.directory().string();
  const auto classes = static_cast<int64_t>(config.data.classes.size());
  if (json) {
    const Evaluation& test = result.test ? *result.test : result.last;
    Json line = {{"run", directory},
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
    if (test.views) {
      line["tta_top1"] = test.views->top1;
      line["tta_loss"] = test.views->loss;
      line["best_tta_top1"] = result.best_tta;
    }
    if (const auto published = published_result(config.settings, classes))
      line["published"] = {{"top1", published->top1 / 100}, {"source", published->source}};
    if (result.test) {
      line["val_loss"] = result.last.loss;
      line["val_top1"] = result.last.top1;
      line["val_pictures"] = result.last.count;
    }
    return print_line(line.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  if (result.signal)
    return print_line(fmt::format("stopped at step {} and saved; go on with: ./train --resume {}",
                                  result.step, directory));
  if (result.test)
    print_line(fmt::format("test top-1 {:.2f} %{} on {}, by the weights of epoch {}",
                           100 * result.test->top1, over_views(*result.test),
                           counted(result.test->count, "picture"), result.best_epoch));
  print_line(fmt::format(
      "top-1 {:.2f} %{} of {}, best {:.2f} % (epoch {}{}), trained {} at {:.0f} images/s\nrun: {}",
      100 * result.last.top1, over_views(result.last),
      counted(result.last.count, result.test ? "val picture" : "test picture"),
      100 * result.best_top1, result.best_epoch,
      result.best_tta < 0 ? "" : fmt::format(", {:.2f} % with TTA", 100 * result.best_tta),
      format_duration(result.seconds), result.images_per_second, directory));
  const Evaluation& test = result.test ? *result.test : result.last;
  const double epochs =
      static_cast<double>(result.step) / static_cast<double>(trainer.steps_per_epoch());
  const std::string published = beside_published(config.settings, classes, test.top1, epochs);
  if (!published.empty()) print_line(published + over_views(test));
}

std::string where(Device device) {
  return device.is_cuda() ? describe_device(device) : counted(thread_count(), "thread");
}

std::string introduction(const RunSettings& settings, const Trainer& trainer) {
  return fmt::format("{} on {}: {}, {:.1f} M MACs a picture, {}, {}", settings.model, settings.data,
                     counted(trainer.model().store().parameter_count(), "parameter"),
                     static_cast<double>(trainer.model().macs()) / 1e6, where(trainer.device()),
                     name_of(compute_type(settings, trainer.device())));
}

// What a run would be, or goes on to be.
struct Plan {
  fs::path run;                    // that goes on; empty: a new one
  RunLock lock;                    // on it
  std::optional<RunConfig> known;  // of it, or of the one that is repeated
  RunConfig config;
};

// The processes that are asked for, or 0. They are also what a new run's steps are for.
int64_t processes_given(const Values& given) {
  RunSettings asked;
  asked.processes = 0;
  for (const auto& [key, text] : given)
    if (key == "processes") set_value(asked, key, text);
  return asked.processes;
}

// A run that goes on keeps the size of its steps, whoever makes them.
Values without_processes(Values given) {
  std::erase_if(given, [](const auto& value) { return value.first == "processes"; });
  return given;
}

// Where mpirun has started several, a new run is theirs unless somebody has said otherwise.
RunSettings settings_of_new_run(const Options& options) {
  RunSettings settings = resolve(options.given);
  const bool said = settings.processes != 1 || processes_given(options.given) > 0;
  if (!said) settings.processes = process_count();
  if (process_count() > 1 && processes_given(options.given) > 0 &&
      settings.processes != process_count())
    throw UsageError(
        fmt::format("processes: {} were started, {} are asked for; leave --processes "
                    "out",
                    process_count(), settings.processes));
  return settings;
}

Plan make_plan(const Options& options) {
  Plan plan;
  if (options.resume) {
    plan.run = find_run(*options.resume);
    if (process_rank() == 0) plan.lock = RunLock(plan.run);
    plan.known = read_run(plan.run);
    plan.config = *plan.known;
    plan.config.settings = resumed_settings(*plan.known, without_processes(options.given));
  } else {
    plan.config.settings = settings_of_new_run(options);
    plan.known = repeated_run(plan.config.settings);
  }
  if (plan.known) move_pictures(plan.config.settings, "", plan.known->data_path);
  return plan;
}

// Where the pictures of a run lie, as far as they lie anywhere.
std::string path_of_pictures(const RunSettings& s) {
  if (fs::is_directory(s.data) || names_shards(s.data)) return s.data;
  if (dataset_info(s.data).form == DataForm::drawn) return {};
  return fs::absolute(find_dataset(s.data, s.data_dir)).string();
}

// A run goes on with the pictures that it began with, or not at all.
void check_pictures(const Plan& plan, const DataFingerprint& now, ProgressLine& progress) {
  if (!plan.known) return;
  const std::string other = difference(plan.known->data, now);
  if (other.empty()) return;
  if (!plan.run.empty())
    throw DataError(
        fmt::format("{}: {}: these are not the pictures that the run was trained on; name their "
                    "place with --data or --data-dir, or start a new run",
                    plan.config.settings.data, other));
  progress.note(fmt::format("not a repetition of {}: {}", plan.config.settings.recipe, other));
}

// Notes the file of weights that the run begins from, and where a repetition has another one.
void remember_beginning(Plan& plan, ProgressLine& progress) {
  if (!plan.run.empty()) return;
  std::optional<BeginningFile>& now = plan.config.beginning;
  now = beginning_of(plan.config.settings);
  if (!plan.known || !plan.known->beginning || !now) return;
  const BeginningFile& then = *plan.known->beginning;
  if (then.checksum == now->checksum) return;
  progress.note(
      fmt::format("not a repetition of {}: it began from {} (XXH64 {}), this from {} (XXH64 {})",
                  plan.config.settings.recipe, then.name, checksum_text(then.checksum), now->name,
                  checksum_text(now->checksum)));
}

DataSplits load_pictures(Plan& plan, ProgressLine& progress) {
  RunSettings& settings = plan.config.settings;
  if (plan.known && settings.data == plan.known->settings.data && settings.data.starts_with('/') &&
      !fs::is_directory(settings.data) && !finds_shards(settings.data))
    throw DataError(
        fmt::format("{}: the pictures of this run are not there any more; name their "
                    "place with --data",
                    settings.data));
  DataSplits data = load_dataset(dataset_request(settings));
  plan.config.data = fingerprint(data);
  plan.config.data_path = path_of_pictures(settings);
  check_pictures(plan, plan.config.data, progress);
  const Preprocessing how = preprocessing_of(settings);
  if (how != Preprocessing{}) progress.note("pictures: " + words(how));
  std::string found = what_was_found(data);
  if (settings.data_fraction < 1) {
    data.train = subset(data.train, settings.data_fraction);
    found += fmt::format("; trains on {} of them", data.train.count);
  }
  progress.note(found);
  return data;
}

// By section, as in config.toml.
void print_plan(const RunConfig& config, bool json) {
  if (!json) return print_line(to_toml(config));
  Json sections = Json::object();
  for (const Setting& s : settings()) {
    Json& value = sections[s.section][s.key];
    std::visit(
        [&]<class T>(T RunSettings::*member) {
          if constexpr (std::is_enum_v<T> || std::is_same_v<T, NumberPair>)
            value = value_text(config.settings, s);
          else value = config.settings.*member;
        },
        s.member);
  }
  sections["model"]["classes"] = config.data.classes.size();
  sections["model"]["image_size"] = config.image_size;
  sections["data"]["class_names"] = config.data.classes;
  sections["data"]["training_pictures"] = config.data.train.count;
  sections["data"]["validation_pictures"] = config.data.val.count;
  sections["data"]["test_pictures"] = config.data.test.count;
  print_line(sections.dump(2, ' ', false, Json::error_handler_t::replace));
}

// As far as can be known before it is made.
void check_output(const fs::path& parent) {
  fs::path at = fs::absolute(parent);
  while (!fs::exists(at) && at.has_relative_path()) at = at.parent_path();
  if (!fs::is_directory(at) || ::access(at.c_str(), W_OK | X_OK) != 0)
    throw Error(fmt::format("{}: no run can be written there: {} is {}", parent.string(),
                            at.string(),
                            fs::is_directory(at) ? "not writable" : "not a directory"));
}

int stopped_before_it_began(const StopSignals& signals) {
  if (process_rank() == 0) print_line("stopped before the first step; no run was written");
  return 128 + signals.requested_anywhere();
}

// Starts the other processes where that is asked for and nobody has done it.
void launch_if_asked(const Options& options, const Plan& plan, char** argv) {
  int64_t count = processes_given(options.given);
  if (count == 0 && plan.run.empty()) count = plan.config.settings.processes;
  if (count > 1 && !started_by_launcher() && !options.dry_run) launch_processes(count, argv);
}

// What several processes have to settle before they begin.
void settle_processes(const RunSettings& settings, ProgressLine& progress) {
  if (settings.threads > 0) return set_thread_count(static_cast<int>(settings.threads));
  const std::string remark = share_threads();
  if (!remark.empty()) progress.note(remark);
}

// The first process writes; the others know where.
void begin_writing(Plan& plan, const fs::path& parent, const Options& options, Trainer& trainer) {
  std::string directory;
  if (process_rank() == 0) {
    RunWriter writer = plan.run.empty() ? RunWriter::create(parent, plan.config)
                                        : RunWriter::reopen(plan.run, std::move(plan.lock),
                                                            plan.config, trainer.state());
    if (options.log == "tensorboard") writer.log().write_events(trainer.state().step);
    trainer.write_to(std::move(writer));
    directory = trainer.directory().string();
  }
  broadcast(directory);
  trainer.belongs_to(directory);
  int64_t profiled = options.profile;
  broadcast(&profiled, sizeof profiled);
  if (profiled > 0) trainer.record_profile(profiled);
}

// The page of --live, on the first process. A training does without one rather than end.
std::unique_ptr<LiveView> live_view(const Options& options, const RunConfig& config,
                                    Trainer& trainer) {
  if (!options.live || process_rank() > 0) return nullptr;
  try {
    auto view = std::make_unique<LiveView>(
        trainer.directory(), config.settings.model + " on " + title_of_data(config.settings.data),
        trainer.judges(), config.image_size, options.port);
    trainer.watched_by(
        [view = view.get()](const Model& model, int64_t epoch) { view->look(model, epoch); });
    say(fmt::format("live: {}\n", view->address()));
    view->look(trainer.model(), trainer.state().epoch);
    return view;
  } catch (const std::exception& error) {
    say(fmt::format("train: --live: {}; training goes on without a page\n", error.what()));
    return nullptr;
  }
}

int train(const Options& options, int argc, char** argv) {
  if (options.live) require_page_server();
  ProgressLine progress(options.quiet || process_rank() > 0);
  Plan plan = make_plan(options);
  launch_if_asked(options, plan, argv);
  RunConfig& config = plan.config;
  if (config.settings.device == "cuda-emulated" && cuda_backend() != CudaBackend::emulated) {
    if (process_count() > 1)
      throw UsageError(
          "device: several processes on emulated devices are started with "
          "--device cuda-emulated on their command line");
    run_emulated_sibling(argv);
  }
  settle_processes(config.settings, progress);
  choose_device(config.settings.device);  // a refusal is one line: before the data are described
  StopSignals signals;
  const DataSplits data = load_pictures(plan, progress);
  std::optional<TimeBudget> budget;
  if (config.settings.minutes > 0 && !options.dry_run) {
    budget = plan_by_time(config.settings, options.given, data, signals, progress);
    if (!budget) return stopped_before_it_began(signals);
  }
  Trainer trainer(config.settings, data, /*resumes=*/!plan.run.empty());
  for (const std::string& note : trainer.notes()) progress.note(note);
  if (budget) trainer.keep_to(*budget);
  config.image_size = trainer.model().options().image_size;
  remember_beginning(plan, progress);
  if (!plan.run.empty()) trainer.restore(plan.run);
  check_processes_agree(config);
  config.sessions.push_back(this_session(argc, argv));
  config.sessions.back().step = trainer.state().step;
  const fs::path parent = options.output.empty() ? runs_directory() : fs::path(options.output);
  if (options.dry_run) {
    if (plan.run.empty()) check_output(parent);
    if (process_rank() == 0) print_plan(config, options.json);
    return code_after_output(0);
  }
  if (trainer.finished() && !plan.run.empty()) {
    if (process_rank() == 0)
      print_line(options.json ? Json{{"run", plan.run.string()}, {"finished", true}}.dump()
                              : plan.run.string() + " is finished; give --epochs to train longer");
    return code_after_output(0);
  }
  begin_writing(plan, parent, options, trainer);
  progress.note(introduction(config.settings, trainer) + "\n" + trainer.directory().string());
  if (const std::string note = note_on(config.settings.model); !note.empty()) progress.note(note);
  if (!plan.run.empty()) {
    const std::string change = change_of_schedule(plan.known->settings, config.settings,
                                                  trainer.state().step, trainer.steps_per_epoch());
    if (!change.empty()) progress.note(change);
  }
  const std::unique_ptr<LiveView> live = live_view(options, config, trainer);
  const TrainResult result = trainer.run(signals, progress);
  if (process_rank() == 0) print_result(result, trainer, config, options.json);
  const int code = result.signal == 0 ? 0 : 128 + result.signal;
  return options.json ? code_after_output(code) : code;
}

// A process that has joined others can not become another program.
void leave_for_emulated_device(int argc, char** argv) {
  if (!started_by_launcher() || cuda_backend() == CudaBackend::emulated) return;
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]).ends_with("cuda-emulated")) run_emulated_sibling(argv);
}

int run(int argc, char** argv) {
  leave_for_emulated_device(argc, argv);
  join_processes();
  const std::optional<Options> options = parse_command_line(argc, argv);
  if (!options) return code_after_output(0);
  cpu::level();  // a wrong PASSBAND_ISA ends here
  if (options->doctor) {
    print_examination(examine(), options->json);
    return code_after_output(0);
  }
  if (options->runs) {
    if (!options->deleted.empty()) delete_run(options->deleted);
    else if (options->runs->empty()) print_runs(options->json);
    else print_comparison(options->runs->at(0), options->runs->at(1), options->json);
    return code_after_output(0);
  }
  if (!options->pack.empty()) return pack(*options);
  if (!options->list.empty() || !options->patterns.empty()) {
    print_list(*options);
    return code_after_output(0);
  }
  return train(*options, argc, argv);
}

}  // namespace
}  // namespace passband

int main(int argc, char** argv) {
  using namespace passband;
  prepare_standard_streams();
  end_without_memory_by(kNoMemory);
  const auto fail = [](const std::exception& error, int code) {
    if (must_say(error.what(), code)) say(fmt::format("train: {}\n", error.what()));
    end_all_processes(code);
    return code;
  };
  try {
    const int code = run(argc, argv);
    leave_processes();
    return code;
  } catch (const ProcessLost& lost) {
    if (speaks_for_all()) say(fmt::format("train: {}\n", lost.what()));
    end_all_processes(lost.code());
    return lost.code();
  } catch (const UsageError& error) {
    return fail(error, 2);
  } catch (const DataError& error) {
    return fail(error, 3);
  } catch (const NonFiniteLoss& error) {
    return fail(error, 4);
  } catch (const OutOfMemory& error) {
    return fail(error, 5);
  } catch (const std::bad_alloc&) {
    return fail(OutOfMemory("out of memory; use a smaller --batch-size"), 5);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
