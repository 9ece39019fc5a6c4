#include "train/step_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tensor/core/collective.h"
#include "tensor/core/file.h"
#include "tensor/core/version.h"
#include "train/gradient_exchange.h"
#include "train/say.h"

namespace passband {
namespace {

using TraceJson = nlohmann::ordered_json;

constexpr int64_t kUntimedSteps = 2;  // the first ones find memory
constexpr int64_t kFirstBucketTrack = 10;

struct Track {
  Activity activity;
  int64_t id;
  const char* name;
};
// Spans of one track lie in each other or apart.
constexpr std::array kTracks = {
    Track{Activity::step, 0, "step"},
    Track{Activity::forward, 1, "forward"},
    Track{Activity::backward, 2, "backward"},
    Track{Activity::gradient, 2, "gradient"},
    Track{Activity::optimiser, 3, "optimiser"},
    Track{Activity::bucket_wait, 4, "waiting"},
    Track{Activity::report_wait, 4, "waiting"},
    Track{Activity::batch_wait, 4, "waiting"},
    Track{Activity::loader, 5, "loader"},
    Track{Activity::evaluation, 6, "evaluation"},
    Track{Activity::all_reduce, kFirstBucketTrack, "all-reduce"},
};

const Track& track_of(Activity activity) {
  return *std::ranges::find(kTracks, activity, &Track::activity);
}

int64_t track_id(const TimeSpan& span) {
  const int64_t first = track_of(span.activity).id;
  return span.activity == Activity::all_reduce ? first + span.number : first;
}

class TraceWriter {
 public:
  TraceWriter(const ProfiledRun& run, const ParameterStore& store)
      : run_(run), store_(store), buckets_(gradient_buckets(ranges_of(store))) {}

  std::string text(const std::vector<std::vector<TimeSpan>>& spans) {
    double first = std::numeric_limits<double>::infinity();
    for (const auto& of_rank : spans)
      for (const TimeSpan& span : of_rank) first = std::min(first, span.begin);
    TraceJson events = TraceJson::array();
    for (size_t rank = 0; rank < spans.size(); ++rank) {
      name_tracks(static_cast<int>(rank), std::ssize(spans), events);
      for (const TimeSpan& span : spans[rank]) events.push_back(event(span, rank, first));
    }
    // an event a line: a diff, or grep, shows single ones
    std::string lines;
    for (const TraceJson& event : events)
      lines += (lines.empty() ? "" : ",\n") + event.dump(-1, ' ', false, kReplace);
    return fmt::format(
        "{{\"traceEvents\": [\n{}\n],\n\"displayTimeUnit\": \"ms\",\n\"otherData\": {}}}\n", lines,
        facts(std::ssize(spans)).dump(-1, ' ', false, kReplace));
  }

 private:
  static constexpr auto kReplace = TraceJson::error_handler_t::replace;

  // With one process, nothing is exchanged.
  void name_tracks(int rank, int64_t processes, TraceJson& events) const {
    const auto add = [&](const char* what, int64_t id, const char* key, const TraceJson& value) {
      events.push_back(
          {{"name", what}, {"ph", "M"}, {"pid", rank}, {"tid", id}, {"args", {{key, value}}}});
    };
    add("process_name", 0, "name", processes == 1 ? "train" : process_name(rank));
    add("process_sort_index", 0, "sort_index", rank);
    const auto name = [&](int64_t id, const std::string& text) {
      add("thread_name", id, "name", text);
      add("thread_sort_index", id, "sort_index", id);
    };
    for (const Track& track : kTracks)
      if (track.activity != Activity::gradient && track.activity != Activity::all_reduce)
        name(track.id, track.name);
    for (int64_t k = 0; processes > 1 && k < std::ssize(buckets_); ++k)
      name(kFirstBucketTrack + k, fmt::format("all-reduce of bucket {}", k));
  }

  TraceJson event(const TimeSpan& span, size_t rank, double first) const {
    const auto microseconds = [](double seconds) { return std::round(seconds * 1e9) / 1e3; };
    TraceJson event = {
        {"name", name_of(span)},
        {"cat", span.activity == Activity::gradient ? "gradient" : track_of(span.activity).name},
        {"ph", "X"},
        {"pid", rank},
        {"tid", track_id(span)},
        {"ts", microseconds(span.begin - first)},
        {"dur", microseconds(span.end - first) - microseconds(span.begin - first)}};
    if (span.number >= 0) event["args"] = {{key_of(span.activity), span.number}};
    return event;
  }

  static const char* key_of(Activity activity) {
    if (activity == Activity::step) return "step";
    return activity == Activity::gradient ? "offset" : "bucket";
  }

  std::string name_of(const TimeSpan& span) const {
    switch (span.activity) {
      case Activity::step: return fmt::format("step {}", span.number);
      case Activity::gradient: return parameter_at(span.number);
      case Activity::all_reduce: return fmt::format("bucket {}: {}", span.number, bytes_of(span));
      case Activity::bucket_wait: return fmt::format("wait for bucket {}", span.number);
      case Activity::report_wait: return "wait for what processes report";
      case Activity::batch_wait: return "wait for the batch";
      case Activity::loader: return "batch";
      default: return track_of(span.activity).name;
    }
  }
  std::string bytes_of(const TimeSpan& span) const {
    const int64_t elements = buckets_.at(static_cast<size_t>(span.number)).count;
    return fmt::format("{:.2f} MB", static_cast<double>(elements) * sizeof(float) / 1e6);
  }
  std::string parameter_at(int64_t offset) const {
    const auto& all = store_.parameters();
    const auto found = std::ranges::find(all, offset, [](const auto& p) { return p->offset; });
    return found == all.end() ? "gradient" : (*found)->name;
  }

  TraceJson facts(int64_t processes) const {
    TraceJson parameters = TraceJson::array(), buckets = TraceJson::array();
    for (const ParameterRef& p : store_.parameters())
      parameters.push_back({{"name", p->name},
                            {"begin", p->offset},
                            {"count", p->shape.numel()},
                            {"learns", !p->frozen}});
    for (const GradientRange& b : buckets_)
      buckets.push_back({{"begin", b.begin}, {"count", b.count}});
    return {{"version", version()},          {"model", run_.model},
            {"device", run_.device},         {"processes", processes},
            {"batch_size", run_.batch_size}, {"threads", run_.threads},
            {"parameters", parameters},      {"buckets", buckets}};
  }

  const ProfiledRun& run_;
  const ParameterStore& store_;
  std::vector<GradientRange> buckets_;
};

// How far each process's clock is ahead of that of the first: times at which all left the same wait
// differ by that and by chance.
std::vector<double> clocks_ahead(const std::vector<double>& meetings) {
  const int64_t width = std::ssize(meetings);
  const std::vector<double> table = rows_of_processes(meetings);
  std::vector<double> ahead;
  for (int64_t rank = 0; rank < process_count(); ++rank) {
    std::vector<double> differences;
    for (int64_t i = 0; i < width; ++i)
      differences.push_back(table[static_cast<size_t>(rank * width + i)] -
                            table[static_cast<size_t>(i)]);
    std::ranges::nth_element(differences, differences.begin() + width / 2);
    ahead.push_back(differences[static_cast<size_t>(width / 2)]);
  }
  return ahead;
}

// Spans as rows of numbers, and back.
std::vector<std::vector<TimeSpan>> spans_of_all(const std::vector<TimeSpan>& own) {
  constexpr int64_t kNumbers = 4;
  const auto most = static_cast<int64_t>(largest_of_processes(static_cast<double>(own.size())));
  std::vector<double> numbers;
  for (const TimeSpan& s : own)
    numbers.insert(numbers.end(), {static_cast<double>(s.activity) + 1,
                                   static_cast<double>(s.number), s.begin, s.end});
  numbers.resize(static_cast<size_t>(most * kNumbers));
  const std::vector<double> table = rows_of_processes(numbers);
  std::vector<std::vector<TimeSpan>> spans(static_cast<size_t>(process_count()));
  for (int64_t i = 0; i < most * process_count(); ++i) {
    const double* const row = table.data() + i * kNumbers;
    if (row[0] == 0) continue;  // one that has fewer
    spans[static_cast<size_t>(i / most)].push_back(
        {static_cast<Activity>(row[0] - 1), static_cast<int64_t>(row[1]), row[2], row[3]});
  }
  return spans;
}

}  // namespace

std::string trace_json(const std::vector<std::vector<TimeSpan>>& spans, const ProfiledRun& run,
                       const ParameterStore& store) {
  return TraceWriter(run, store).text(spans);
}

StepProfile::StepProfile(std::filesystem::path file, int64_t steps, ProfiledRun run,
                         const ParameterStore& store)
    : file_(std::move(file)), steps_(steps), run_(std::move(run)), store_(store) {
  constexpr int kMeetings = 9;
  for (int i = 0; i < kMeetings; ++i) {
    largest_of_processes(0);
    meetings_.push_back(timeline_now());
  }
}

void StepProfile::begin_step(int64_t step) {
  if (seen_++ < kUntimedSteps || recorded_) return;
  step_ = step;
  if (!recording_timeline()) record_timeline();
  step_began_ = timeline_now();
}

void StepProfile::end_step() {
  if (step_began_ < 0) return;
  add_span(Activity::step, step_, step_began_);
  step_began_ = -1;
  if (seen_ < kUntimedSteps + steps_) return;
  recorded_ = true;
  write();
}

void StepProfile::begin_evaluation() {
  if (recorded_ && !evaluated_) record_timeline();
}

void StepProfile::end_evaluation() {
  if (!recorded_ || evaluated_) return;
  evaluated_ = true;
  write();
}

void StepProfile::end() {
  if (seen_ > kUntimedSteps && !recorded_) write();
  recorded_ = evaluated_ = true;
}

// The spans that were recorded since, and those before.
void StepProfile::write() {
  std::ranges::move(take_timeline(), std::back_inserter(spans_));
  const std::vector<double> ahead = clocks_ahead(meetings_);
  std::vector<std::vector<TimeSpan>> spans = spans_of_all(spans_);
  if (process_rank() > 0) return;
  for (size_t rank = 0; rank < spans.size(); ++rank)
    for (TimeSpan& span : spans[rank]) span.begin -= ahead[rank], span.end -= ahead[rank];
  const KeepsOthersWaiting writing;
  try {
    write_file_atomically(file_.string(), trace_json(spans, run_, store_));
  } catch (const Error& error) {
    say(fmt::format("train: --profile: {}; training goes on without\n", error.what()));
  }
}

}  // namespace passband
