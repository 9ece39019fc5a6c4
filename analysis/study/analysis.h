// An analysis: a function from subjects and pictures to one section of the report, with all that
// its wing's table says about it.
#pragma once
#include <algorithm>
#include <any>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "analysis/report/section.h"
#include "analysis/study/memo.h"
#include "analysis/study/options.h"
#include "analysis/study/progress.h"
#include "analysis/study/subject.h"

namespace passband {

struct AnalysisInput {
  std::vector<Subject> subjects;   // the run first; then --untrained and --against
  const Dataset* data = nullptr;   // test pictures
  const Dataset* train = nullptr;  // training pictures, unaugmented (probes, curvature)
  int64_t images = 0;              // --images; 0: each analysis' own number
  double share = 1;                // of that own number, where time is short
  Progress progress;               // report to it; it throws when the user wants to stop
  // Of the analysis that runs, see with_settings: every option of its row as text, and the same
  // values as its struct of options.
  OptionTexts settings;
  std::any options;
  std::shared_ptr<Memo> memo = std::make_shared<Memo>();  // shared by the analyses of one call
  // Where a long analysis may keep partial results under `partial_file`; empty: nowhere.
  std::filesystem::path partial_directory;

  int64_t images_or(int64_t usual) const {
    constexpr int64_t kLeast = 4;
    if (images > 0) return images;
    const auto part = static_cast<int64_t>(std::llround(share * static_cast<double>(usual)));
    return std::max(std::min(usual, kLeast), part);
  }
  // The same, at most what the test pictures are.
  int64_t pictures(int64_t usual) const {
    return data ? std::min(images_or(usual), data->count) : images_or(usual);
  }
  // The stretch of work that belongs to subject `s`, all taken to cost the same.
  Progress part_of(size_t s) const {
    return progress.part(static_cast<int64_t>(s), static_cast<int64_t>(subjects.size()),
                         subjects[s].label);
  }
  // A file for partial results, private to this analysis, these weights, data and settings; removed
  // when its section is finished. Empty when there is no place to keep it.
  std::filesystem::path partial_file(const std::string& name) const;
};

[[noreturn]] void throw_other_options(const std::type_info& wanted, const std::type_info& given);

// What an analysis says about an input: a function of it and, where it takes them, of the
// analysis' options. Throws Error when the input has another struct of options.
template <class Result> class InputFunction {
 public:
  InputFunction() = default;
  template <class Function>
  requires std::is_invocable_r_v<Result, Function, const AnalysisInput&> InputFunction(
      Function function)
      : function_(std::move(function)) {}
  template <class Options> InputFunction(Result (*function)(const AnalysisInput&, const Options&))
      : options_(&typeid(Options)), function_([function](const AnalysisInput& input) {
          const auto* options = std::any_cast<Options>(&input.options);
          if (!options) throw_other_options(typeid(Options), input.options.type());
          return function(input, *options);
        }) {}

  explicit operator bool() const { return static_cast<bool>(function_); }
  Result operator()(const AnalysisInput& input) const { return function_(input); }
  const std::type_info& options() const { return *options_; }  // that it takes; void: none

 private:
  const std::type_info* options_ = &typeid(void);
  std::function<Result(const AnalysisInput&)> function_;
};

struct Analysis {
  std::string name;      // for --only
  std::string title;     // of its section
  std::string question;  // that it answers
  // "time: ...; memory: ..." against pictures n and layers L: what `--list` tells of it
  std::string cost;
  bool leads = false;  // stands first on the page, before those of its wing
  bool quick = true;   // in the set that `analyze` runs by itself; others need --full or --only
  // Work for the one network of the input, with its settings and pictures, in forward passes of one
  // picture (a gradient counts 3, a Hessian product 6): what the program estimates the time from.
  InputFunction<double> work = {};
  std::string shares = {};  // the analysis whose passes it finds done when both run: then no time
  // Several processes share its passes over pictures (own_part.h); others leave it to the first.
  bool splits_pictures = false;
  bool uses_train = false;   // reads AnalysisInput::train
  bool uses_labels = false;  // of either pictures
  OptionTable options = {};
  // Why it does not apply to a network, as a sentence; empty: it does. Such a network is left out,
  // and the section says why.
  std::function<std::string(const Subject&)> unsuited = {};
  // What the call as a whole lacks for it (kind of data, further runs), as a sentence; empty:
  // nothing. It is then left out of the quick set, and says so when it is asked for by name.
  InputFunction<std::string> lacking = {};
  // Whether it shows pictures of its own instead of the data set's. Empty: never.
  InputFunction<bool> brings_pictures = {};
  // Measures, says and draws; name, title and question of the section are the table's.
  InputFunction<Section> run;
};

// `input` with the settings of `analysis`: its defaults, then `given` ("cka.estimator" -> "biased";
// entries of other analyses are passed over). Throws UsageError for unknown options of it and for
// values that do not fit.
AnalysisInput with_settings(AnalysisInput input, const Analysis& analysis,
                            const OptionTexts& given = {});

// What the call lacks for an analysis, as a sentence; empty: nothing. See Analysis::lacking; a data
// set of which only the description is there (imagenet) lacks its pictures.
std::string what_lacks(const Analysis& analysis, const AnalysisInput& input);

// Runs an analysis on the subjects that it applies to and whose numbers are finite; a section
// without figures that says why when there is none. A network with numbers that are not finite is
// named in the section's caveats and in Section::not_finite.
Section run_analysis(const Analysis& analysis, AnalysisInput input);

}  // namespace passband
