#include "analysis/explore_program.h"

#include <fmt/format.h>

#include <cstdio>

#include "analysis/explore/explorer.h"
#include "analysis/explore/session.h"
#include "analysis/registry.h"
#include "analysis/report/report.h"
#include "analysis/study/console.h"
#include "analysis/study/finite.h"
#include "tensor/core/file.h"
#include "tensor/core/standard_streams.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMostAlong = 4;  // weights along a training that an explorer has
// Bytes of one figure of the report, and of all, that the explorer shows where no script runs.
constexpr size_t kMostFigure = 60'000, kMostFigures = 600'000;

// Weights that the run kept along its way, evenly spread.
std::vector<Subject> kept_along(const Study& study) {
  const Subject& first = study.input.subjects.front();
  if (!first.run)
    throw UsageError(first.label + ": --along needs a run; these weights come without one");
  const std::vector<RunCheckpoint> all = checkpoints(*first.run);
  if (all.empty())
    throw UsageError(fmt::format(
        "{}: the run kept no weights along its way; train it with --checkpoint-interval 1",
        first.run->directory.filename().string()));
  std::vector<Subject> found;
  for (const int64_t i : spread_indices(std::ssize(all), kMostAlong)) {
    const RunCheckpoint& kept = all[static_cast<size_t>(i)];
    found.push_back(make_subject(fmt::format("{}, epoch {}", first.label, kept.epoch),
                                 load_run_model(*first.run, kept.which), first.run));
  }
  return found;
}

// What both forms of the explorer are told; networks are on the host. Effects are measured over
// `images` pictures where the command line names no number.
ExplorerRequest explorer_request(const std::string& option, const AnalyzeOptions& options,
                                 Study& study, int64_t images) {
  if (study.data.test.count == 0)
    throw UsageError(option + ": there are no pictures to show; name a folder by --pictures");
  std::vector<std::string> order;
  for (const Analysis& analysis : analyses()) order.push_back(analysis.name);
  const std::string report = study.report.string();
  ExplorerRequest request{.title = study.header.title,
                          .networks = study.input.subjects,
                          .side_by_side = study.input.subjects.size() > 1,
                          .measured = study.input.subjects.size(),
                          .data = &study.data.test,
                          .images = study.input.images_or(images),
                          .device = study.input.subjects.front().model->device(),
                          .sections = stored_sections(report),
                          .pictures = stored_pictures(report, order, kMostFigure, kMostFigures)};
  if (options.along)
    for (Subject& subject : kept_along(study)) request.networks.push_back(std::move(subject));
  for (Subject& subject : request.networks) subject.model->to({});
  for (const std::string& note : study.notes) fmt::print(stderr, "{}\n", note);
  return request;
}

// Runs `work`, of which the console tells. Returns the exit code of its failure, 0 when it went
// well.
int with_console(Console& console, const std::function<int()>& stopped,
                 const std::function<void()>& work) {
  try {
    work();
    return 0;
  } catch (const Interrupted&) {
    console.end("stopped");
    return 128 + stopped();
  } catch (const NotFinite& error) {
    console.end(fmt::format("not finite: {}: {}", error.model().name(), error.what()));
    return kNotFinite;
  }
}

}  // namespace

int write_explorer(const AnalyzeOptions& options, Study& study,
                   const std::function<int()>& stopped) {
  ExplorerRequest request = explorer_request("--explore", options, study, 1000);
  Console console(1);
  console.begin(0, "explore");
  request.progress = Progress([&](const Progress::Report& state) {
    if (stopped()) throw Interrupted();
    console.update(state);
  });
  const std::string page_path = fs::absolute(study.report / "explore.html").string();
  const int code = with_console(console, stopped, [&] {
    const std::string page = explorer_page(request);
    fs::create_directories(study.report);
    write_file_atomically(page_path, page);
    console.end(fmt::format("{:.1f} MB", static_cast<double>(page.size()) / 1e6));
  });
  if (code != 0) return code;
  fmt::print("explorer: {}\n", page_path);
  return code_after_output(0);
}

int serve_explorer(const AnalyzeOptions& options, Study& study,
                   const std::function<int()>& stopped) {
  constexpr int64_t kUsual = 200;  // pictures that an edit is measured over while a reader waits
  require_page_server();
  ExplorerRequest request = explorer_request("--serve", options, study, kUsual);
  request.images = std::min(request.images, study.data.test.count);
  Console console(1);
  console.begin(0, "explore");
  request.progress = Progress([&](const Progress::Report& state) {
    if (stopped()) throw Interrupted();
    console.update(state);
  });
  std::optional<ExploreSession> session;
  const int code = with_console(console, stopped, [&] {
    session.emplace(std::move(request));
    console.end("ready");
  });
  if (code != 0) return code;
  int written = 0;
  serve_pages([&](const PageRequest& asked) { return session->answer(asked); }, options.port,
              [&](const std::string& address) {
                fmt::print("{}\n", address);
                std::fflush(stdout);
                written = code_after_output(0);
                if (written == 0)
                  fmt::print(stderr, "serves this machine alone, until Ctrl-C ends it\n");
              },
              [&] { return written != 0 || stopped() != 0; });
  return written != 0 ? written : 128 + stopped();
}

}  // namespace passband
