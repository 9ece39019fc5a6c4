// The jobs of a call of `analyze`: one for each section, with the time that it will take.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "analysis/command_line.h"

namespace passband {

// One section to make, or to keep when the report holds it under the same key.
struct Job {
  std::string name;  // of the section
  std::string title;
  std::string key;
  double seconds = 0;  // that it will take, about
  std::function<Section(AnalysisInput)> run;
  AnalysisInput input;
  bool splits_pictures = false;  // among several processes
};

// Seconds that a picture takes through each network of a study, measured when first asked for.
class PictureTimes {
 public:
  double of(const Subject& subject);
  // That an analysis takes for all networks of `input`, with its settings and pictures.
  double of(const Analysis& analysis, const AnalysisInput& input);

 private:
  std::map<const Model*, double> seconds_;
};

// The analyses that the command line asks for. Throws UsageError for unknown names and settings.
std::vector<const Analysis*> chosen_analyses(const AnalyzeOptions& options);

std::vector<Job> make_jobs(const AnalyzeOptions& options, const Study& study, PictureTimes& times);

// What a call makes of its jobs within the time that it may take.
struct TimedJobs {
  std::vector<Job> jobs;  // the cheapest first
  double share = 1;       // of each analysis' own number of pictures
  std::vector<std::string> left_out;
};
// The jobs with all their pictures where `seconds_left`, asked once it is measured what a picture
// takes, allows it, else with a half, a quarter or an eighth of them; then the dearest ones are
// left out. What `is_kept` finds in the report with all its pictures stays and takes no time.
TimedJobs jobs_within(const std::function<double()>& seconds_left, const AnalyzeOptions& options,
                      Study& study, PictureTimes& times,
                      const std::function<bool(const Job&)>& is_kept);

// What a call with --full would compute beyond this one: "--full adds similarity, heatmap (about
// 2:07)"; empty: nothing.
std::string what_full_adds(const AnalyzeOptions& options, const Study& study, PictureTimes& times);

}  // namespace passband
