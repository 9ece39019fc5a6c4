// The analyses by name. Each is a function from subjects and pictures to one section of the report.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/report/report.h"
#include "analysis/study/memo.h"
#include "analysis/study/progress.h"
#include "analysis/study/subject.h"

namespace passband {

// A setting of one analysis: --set cka.estimator=biased.
struct AnalysisOption {
  std::string name;      // "estimator"
  std::string standard;  // default, as text; a number means that the value must be a number
  std::string meaning;   // one line
  std::vector<std::string> choices = {};  // allowed words; empty: any text or number
};

struct AnalysisInput {
  std::vector<Subject> subjects;   // the run first; then --untrained and --against
  const Dataset* data = nullptr;   // test pictures
  const Dataset* train = nullptr;  // training pictures, unaugmented (probes, curvature)
  int64_t images = 0;              // --images; 0: each analysis' own number
  Progress progress;               // report to it; it throws when the user wants to stop
  // of the analysis that runs: every option of its row
  std::map<std::string, std::string> settings;
  std::shared_ptr<Memo> memo = std::make_shared<Memo>();  // shared by the analyses of one call
  // Where a long analysis may keep partial results under `partial_file`; empty: nowhere.
  std::filesystem::path partial_directory;

  int64_t images_or(int64_t usual) const { return images > 0 ? images : usual; }
  // The stretch of work that belongs to subject `s`, all taken to cost the same.
  Progress part_of(size_t s) const {
    return progress.part(static_cast<int64_t>(s), static_cast<int64_t>(subjects.size()),
                         subjects[s].label);
  }

  // Options of the analysis that runs. Throw Error for a name its row does not declare, UsageError
  // for a value of the wrong kind. Lists are comma-separated.
  const std::string& text(const std::string& name) const;
  int64_t whole(const std::string& name) const;
  double number(const std::string& name) const;
  bool flag(const std::string& name) const;  // true, on, 1 / false, off, 0
  std::vector<double> numbers(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;

  // A file for partial results, private to this analysis, these weights, data and settings; removed
  // when its section is finished. Empty when there is no place to keep it.
  std::filesystem::path partial_file(const std::string& name) const;
};

struct Analysis {
  std::string name;  // for --only
  std::string question;
  // "time: ...; memory: ..." against pictures n and layers L; stands in the section too
  std::string cost;
  bool quick = true;  // in the set that `analyze` runs by itself; others need --full or --only
  // Work with default settings for one network, in forward passes of one picture (a gradient counts
  // 3, a Hessian product 6): what the program estimates the time from.
  double work = 1000;
  bool uses_train = false;  // reads AnalysisInput::train
  std::vector<AnalysisOption> options = {};
  // Why it does not apply to a network, as a sentence; empty: it does. Such a network is left out,
  // and the section says why.
  std::function<std::string(const Subject&)> unsuited = {};
  // What the call as a whole lacks for it (kind of data, further runs), as a sentence; empty:
  // nothing. It is then left out of the quick set, and says so when it is asked for by name.
  std::function<std::string(const AnalysisInput&)> lacking = {};
  // Whether it shows pictures of its own instead of the data set's. Empty: never.
  std::function<bool(const AnalysisInput&)> brings_pictures = {};
  std::function<Section(const AnalysisInput&)> run;
};

// In the order of the report.
const std::vector<Analysis>& analyses();
// Throws UsageError with near names.
const Analysis& find_analysis(std::string_view name);

// `input` with the settings of `analysis`: its defaults, then `given` ("cka.estimator" -> "biased";
// entries of other analyses are passed over). Throws UsageError for unknown options of it and for
// values that do not fit.
AnalysisInput with_settings(AnalysisInput input, const Analysis& analysis,
                            const std::map<std::string, std::string>& given = {});

// What the call lacks for an analysis, as a sentence; empty: nothing. See Analysis::lacking; a data
// set of which only the description is there (imagenet) lacks its pictures.
std::string what_lacks(const Analysis& analysis, const AnalysisInput& input);

// Runs an analysis on the subjects that it applies to; a section without figures that says why when
// there is none.
Section run_analysis(const Analysis& analysis, AnalysisInput input);

Section cka_section(const AnalysisInput& input);
Section fourier_section(const AnalysisInput& input);
Section variance_section(const AnalysisInput& input);
Section distance_section(const AnalysisInput& input);
Section rollout_section(const AnalysisInput& input);
Section calibration_section(const AnalysisInput& input);
Section confusion_section(const AnalysisInput& input);
Section shape_bias_section(const AnalysisInput& input);
Section growth_section(const AnalysisInput& input);
// See Analysis::lacking.
std::string lacks_conflicts(const AnalysisInput& input);
bool brings_stimuli(const AnalysisInput& input);
std::string lacks_siblings(const AnalysisInput& input);

}  // namespace passband
