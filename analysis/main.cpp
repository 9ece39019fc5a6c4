// analyze: opens a trained network up and writes a report.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <new>

#include "analysis/explore_program.h"
#include "analysis/jobs.h"
#include "analysis/registry.h"
#include "analysis/report/file_lock.h"
#include "analysis/report/report.h"
#include "analysis/study/along.h"
#include "analysis/study/console.h"
#include "analysis/study/finite.h"
#include "analysis/study/source_digest.h"
#include "analysis/team.h"
#include "data/fingerprint.h"
#include "tensor/core/collective.h"
#include "tensor/core/file.h"
#include "tensor/core/parallel.h"
#include "tensor/core/process_launch.h"
#include "tensor/core/random.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/text.h"
#include "tensor/cpu/level.h"
#include "tensor/device_choice.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr const char* kNoMemory = "analyze: out of memory; use fewer --images\n";

volatile std::sig_atomic_t stop_requested = 0;  // the signal

// What the program ends with after a failure.
int exit_code(const std::exception& error) {
  if (dynamic_cast<const UsageError*>(&error)) return 2;
  if (dynamic_cast<const DataError*>(&error)) return 3;
  if (dynamic_cast<const OutOfMemory*>(&error) || dynamic_cast<const std::bad_alloc*>(&error))
    return 5;
  return 1;
}

// Makes the section of a job. Returns the exit code.
int make_section(Job& job, const Team& team, const fs::path& partial, Report& report,
                 const fs::path& directory, Console& console) {
  job.input.partial_directory = partial;
  job.input.progress = Progress([&](const Progress::Report& state) {
    if (stop_requested) throw Interrupted();
    console.update(state);
  });
  const auto begin = std::chrono::steady_clock::now();
  Section section = team.run(job);
  section.name = job.name;
  const bool applies = section.applies;
  const std::string not_finite = join(section.not_finite, "; ");
  // Numbers that may be others next time are not kept.
  section.key = job.key + (not_finite.empty() ? "" : " not finite");
  report.add(std::move(section));
  report.write(directory);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  console.end(!not_finite.empty() ? "not finite: " + not_finite
              : applies           ? fmt::format("{:.1f} s", seconds)
                                  : "does not apply");
  return not_finite.empty() ? 0 : kNotFinite;
}

// Runs one job into the report, unless the report has its section. Another call that makes the same
// one is waited for. Returns the exit code of its failure, 0 when it went well.
int run_job(Job& job, const Team& team, bool fresh, const fs::path& directory, Report& report,
            Console& console) {
  const auto kept = [&] { return !fresh && stored_key(directory, job.name) == job.key; };
  const fs::path partial = directory / "partial" / fmt::format("{:016x}", site_of(job.key));
  int code = 0;
  if (!kept()) {
    const FileLock lock(partial / ".lock", [&] {
      if (stop_requested) throw Interrupted();
      console.update({.label = "another call is at it; waiting"});
    });
    if (!kept()) {
      const auto clean = [&] {
        fs::remove_all(partial);
        std::error_code not_empty;
        fs::remove(directory / "partial", not_empty);
      };
      try {
        code = make_section(job, team, partial, report, directory, console);
        clean();
      } catch (...) {
        if (kept()) clean();  // it failed in what comes after
        throw;
      }
      return code;
    }
    fs::remove_all(partial);
  }
  console.end("kept from before");
  return code;
}

// The time that the call may take, start-up included, and whether it allows a job, by what those
// before took against what they were to take.
class Deadline {
 public:
  explicit Deadline(double seconds) : seconds_(seconds) {}  // 0: no end
  double seconds_left() const { return std::max(0.0, seconds_ - passed()); }
  void begin_jobs() { before_ = passed(); }
  bool has_time_for(const Job& job) const {
    const double slowness = expected_ > 1 ? std::max(1.0, (passed() - before_) / expected_) : 1;
    return seconds_ == 0 || job.seconds == 0 ||
           passed() + slowness * job.seconds <= kTolerance * seconds_;
  }
  void done(const Job& job) { expected_ += job.seconds; }

 private:
  static constexpr double kTolerance = 1.05;
  double passed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  double seconds_, before_ = 0, expected_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Names of jobs that time did not allow are added to `left_out`.
int run_jobs(std::vector<Job>& jobs, const AnalyzeOptions& options, Deadline& deadline,
             const fs::path& directory, Report& report, std::vector<std::string>& left_out) {
  const Team team;
  Console console(jobs.size());
  deadline.begin_jobs();
  const Device device =
      jobs.empty() ? Device{} : jobs.front().input.subjects.front().model->device();
  int code = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (stop_requested) return 128 + stop_requested;
    console.begin(i, jobs[i].name);
    if (!deadline.has_time_for(jobs[i])) {
      console.end("left out: no time for it");
      left_out.push_back(jobs[i].name);
      continue;
    }
    int failed = 0;
    try {
      failed = run_job(jobs[i], team, options.fresh, directory, report, console);
    } catch (const ProcessLost&) {
      throw;
    } catch (const Interrupted&) {  // or one of the others was
      console.end("stopped");
      if (!stop_requested) stop_requested = SIGTERM;
      return 128 + stop_requested;
    } catch (const std::bad_alloc& error) {
      console.end("failed: out of memory; use fewer --images");
      failed = exit_code(error);
    } catch (const std::exception& error) {
      console.end(fmt::format("failed: {}", error.what()));
      failed = exit_code(error);
    }
    deadline.done(jobs[i]);
    // The next section's buffers have other sizes: those of this one would only lie there.
    release_cached_memory();
    if (device != Device{}) release_cached_memory(device);
    if (code == 0) code = failed;
  }
  return code;
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

// Sections that the report holds from a program of other sources, which may compute or draw them
// otherwise.
std::vector<std::string> sections_of_other_programs(const fs::path& report) {
  std::vector<std::string> others = stored_sections(report);
  std::erase_if(others, [&](const std::string& name) {
    const std::string key = stored_key(report, name).value_or("");
    return key.find(source_digest()) != std::string::npos;
  });
  return others;
}

// Says which sections of the report this call leaves as they are although they are of other weights
// or pictures, of another program, or damaged.
void tell_of_old_sections(const Study& study, const std::vector<Job>& jobs) {
  const auto is_made = [&](const std::string& name) {
    return std::ranges::find(jobs, name, &Job::name) != jobs.end();
  };
  std::vector<std::string> others = sections_of_other_programs(study.report);
  std::erase_if(others, is_made);
  if (!others.empty())
    fmt::print(stderr,
               "the report keeps sections that another build of this program made, until a call "
               "asks for them: {}\n",
               join(others));
  std::vector<std::string> kept = study.header.stale;
  std::erase_if(kept, is_made);
  if (!kept.empty())
    fmt::print(stderr,
               "the report keeps sections of other weights or pictures, marked as stale: {}\n",
               join(kept));
  for (const DamagedPiece& piece : damaged_pieces(study.report.string()))
    fmt::print(stderr, "{}: {}\n", piece.reason,
               piece.section.empty() || is_made(piece.section)
                   ? "it is made anew"
                   : "left out of the page; --only " + piece.section + " makes it anew");
}

bool is_kept(const Job& job, bool fresh, const Study& study) {
  return !fresh && stored_key(study.report.string(), job.name) == job.key;
}

void tell_time(const TimedJobs& made, bool fresh, const Study& study) {
  double seconds = 0;
  for (const Job& job : made.jobs)
    if (!is_kept(job, fresh, study)) seconds += job.seconds;
  if (seconds > 0)
    fmt::print(
        stderr, "{}{}, about {} on {}\n", counted(std::ssize(made.jobs), "section"),
        made.share == 1 ? "" : fmt::format(" with 1/{:.0f} of their pictures", 1 / made.share),
        format_duration(seconds), describe_device(study.input.subjects.front().model->device()));
}

void tell_left_out(const std::vector<std::string>& names) {
  if (!names.empty())
    fmt::print(stderr, "left out, for want of time: {}; --only {} makes {}\n", join(names),
               join(names, ","), names.size() == 1 ? "it" : "them");
}

// Pictures without labels: what was not asked for by name and needs them.
void tell_unlabelled(const AnalyzeOptions& options, const Study& study) {
  if (study.data.test.labelled || !options.only.empty()) return;
  std::vector<std::string> names;
  for (const Analysis* analysis : chosen_analyses(options))
    if (analysis->uses_labels) names.push_back(analysis->name);
  fmt::print(stderr, "left out, for want of labels: {}\n", join(names));
}

TimedJobs chosen_jobs(const AnalyzeOptions& options, const Deadline& deadline, Study& study,
                      PictureTimes& times) {
  if (options.minutes == 0) return {.jobs = make_jobs(options, study, times)};
  return jobs_within([&] { return deadline.seconds_left(); }, options, study, times,
                     [&](const Job& job) { return is_kept(job, options.fresh, study); });
}

// The threads of this process, of which there may be several.
void settle_processes(const AnalyzeOptions& options) {
  if (process_count() > 1 && (options.explore || options.serve))
    throw UsageError(fmt::format("{}: one process makes that page, and {} were started; start one",
                                 options.explore ? "--explore" : "--serve", process_count()));
  if (process_count() > 1 && options.processes > 0 && options.processes != process_count())
    throw UsageError(
        fmt::format("--processes: {} were started, {} are asked for; leave --processes out",
                    process_count(), options.processes));
  if (options.threads > 0) return set_thread_count(static_cast<int>(options.threads));
  const std::string remark = share_threads();
  if (!remark.empty() && process_rank() == 0) fmt::print(stderr, "{}\n", remark);
}

void handle_signals() {
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int number) {
      stop_requested = number;
      std::signal(number, SIG_DFL);  // a second one ends the program at once
    });
}

int run(int argc, char** argv) {
  join_processes();
  AnalyzeOptions options;
  if (!parse_command_line(argc, argv, options)) return code_after_output(0);
  cpu::level();  // a wrong PASSBAND_ISA ends here
  if (options.list) {
    print_list(options.json);
    return code_after_output(0);
  }
  if (options.processes > 1 && !started_by_launcher()) launch_processes(options.processes, argv);
  if (options.study.device == "cuda-emulated" && cuda_backend() != CudaBackend::emulated)
    run_emulated_sibling(argv);
  Deadline deadline(60 * options.minutes);
  settle_processes(options);
  handle_signals();
  chosen_analyses(options);
  Study study;
  make_study(options.study, study);
  const auto stopped = [] { return static_cast<int>(stop_requested); };
  if (process_rank() > 0) {
    join_in(options, study, [] { return stop_requested != 0; });
    return 0;
  }
  if (options.explore) return write_explorer(options, study, stopped);
  if (options.serve) return serve_explorer(options, study, stopped);
  PictureTimes times;
  TimedJobs made = chosen_jobs(options, deadline, study, times);
  for (const std::string& note : study.notes) fmt::print(stderr, "{}\n", note);
  std::string command = "./analyze";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  study.header.commands = {command};
  study.header.order = page_order();
  study.header.stale = stale_sections(study);
  tell_of_old_sections(study, made.jobs);
  Report report(study.header);
  report.write(study.report);
  tell_unlabelled(options, study);
  tell_time(made, options.fresh, study);
  const int code = run_jobs(made.jobs, options, deadline, study.report, report, made.left_out);
  if (options.json) fmt::print("{}\n", read_file(study.report / "summary.json"));
  else fmt::print("report: {}\n", fs::absolute(study.report / "index.html").string());
  if (stop_requested && code == 128 + stop_requested) {
    fmt::print(stderr, "stopped; finished sections are kept, and the same command goes on\n");
    return code;
  }
  tell_left_out(made.left_out);
  const std::string more = what_full_adds(options, study, times);
  if (!more.empty()) fmt::print(stderr, "{}\n", more);
  return options.json ? code_after_output(code) : code;
}

}  // namespace
}  // namespace passband

int main(int argc, char** argv) {
  using namespace passband;
  prepare_standard_streams();
  end_without_memory_by(kNoMemory);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow fails in words
  const auto fail = [](const std::string& text, int code) {
    if (must_say(text, code)) fmt::print(stderr, "analyze: {}\n", text);
    end_all_processes(code);
    return code;
  };
  try {
    const int code = run(argc, argv);
    leave_processes();
    return code;
  } catch (const ProcessLost& lost) {
    if (speaks_for_all()) fmt::print(stderr, "analyze: {}\n", lost.what());
    end_all_processes(lost.code());
    return lost.code();
  } catch (const std::bad_alloc& error) {
    return fail("out of memory; use fewer --images", exit_code(error));
  } catch (const std::exception& error) {
    return fail(error.what(), exit_code(error));
  }
}
