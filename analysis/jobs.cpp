#include "analysis/jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/registry.h"
#include "analysis/study/along.h"
#include "tensor/core/text.h"

namespace passband {

double PictureTimes::of(const Subject& subject) {
  const auto [entry, is_new] = seconds_.emplace(subject.model.get(), 0);
  if (is_new) entry->second = seconds_per_picture(*subject.model);
  return entry->second;
}

double PictureTimes::of(const Analysis& analysis, const AnalysisInput& input) {
  double seconds = 0;
  AnalysisInput one = input;
  for (const Subject& subject : input.subjects) {
    if (analysis.unsuited && !analysis.unsuited(subject).empty()) continue;
    one.subjects = {subject};
    seconds += analysis.work(one) * of(subject);
  }
  return seconds;
}

std::vector<const Analysis*> chosen_analyses(const AnalyzeOptions& o) {
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

std::vector<Job> make_jobs(const AnalyzeOptions& o, const Study& study, PictureTimes& times) {
  std::vector<Job> jobs;
  for (const Analysis* analysis : chosen_analyses(o)) {
    const AnalysisInput input = with_settings(study.input, *analysis, o.study.settings);
    const bool applies = what_lacks(*analysis, input).empty();
    if (o.only.empty() && !applies) continue;
    const bool done_by_another = std::ranges::any_of(
        jobs, [&](const Job& job) { return !o.along && job.name == analysis->shares; });
    const double seconds = applies && !done_by_another ? times.of(*analysis, input) : 0;
    if (!o.along) {
      jobs.push_back(
          {analysis->name, analysis->title, section_key(*analysis, input), seconds,
           [analysis](AnalysisInput in) { return run_analysis(*analysis, std::move(in)); }, input,
           analysis->splits_pictures});
      continue;
    }
    jobs.push_back({along_name(*analysis), analysis->title, along_key(*analysis, input), 0,
                    [analysis](const AnalysisInput& in) { return along_section(*analysis, in); },
                    input});
    for (const Subject& subject : input.subjects)
      jobs.back().seconds += seconds / static_cast<double>(input.subjects.size()) *
                             static_cast<double>(checkpoints(*subject.run).size());
  }
  return jobs;
}

TimedJobs jobs_within(const std::function<double()>& seconds_left, const AnalyzeOptions& o,
                      Study& study, PictureTimes& times,
                      const std::function<bool(const Job&)>& is_kept) {
  TimedJobs made;
  const std::vector<Job> whole = make_jobs(o, study, times);
  const double seconds = seconds_left();
  const auto total = [&] {
    double sum = 0;
    for (const Job& job : made.jobs) sum += job.seconds;
    return sum;
  };
  const std::vector<double> shares =
      o.study.images > 0 ? std::vector{1.0} : std::vector{1.0, 0.5, 0.25, 0.125};
  for (const double share : shares) {
    made.share = study.input.share = share;
    made.jobs = make_jobs(o, study, times);
    for (size_t i = 0; i < whole.size(); ++i) {
      if (is_kept(whole[i])) made.jobs[i] = whole[i];
      if (is_kept(made.jobs[i])) made.jobs[i].seconds = 0;
    }
    if (total() <= seconds) break;
  }
  study.input.share = 1;  // what --full adds is told with all pictures
  std::ranges::stable_sort(made.jobs, {}, &Job::seconds);
  while (!made.jobs.empty() && total() > seconds) {
    made.left_out.push_back(made.jobs.back().name);
    made.jobs.pop_back();
  }
  return made;
}

std::string what_full_adds(const AnalyzeOptions& o, const Study& study, PictureTimes& times) {
  std::vector<std::string> names;
  double seconds = 0;
  for (const Analysis& a : analyses()) {
    const AnalysisInput input = with_settings(study.input, a);
    if (a.quick || !what_lacks(a, input).empty()) continue;
    names.push_back(a.name);
    seconds += times.of(a, input);
  }
  if (o.full || o.along || !o.only.empty() || names.empty()) return {};
  return fmt::format("--full adds {} (about {})", join(names), format_duration(seconds));
}

}  // namespace passband
