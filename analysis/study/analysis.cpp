#include "analysis/study/analysis.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/core/text.h"

namespace passband {
namespace {

[[noreturn]] void throw_unknown(const std::string& name, const Analysis& analysis) {
  std::vector<std::string> known;
  for (const AnalysisOption& option : analysis.options.rows())
    known.push_back(analysis.name + "." + option.name);
  throw UsageError(fmt::format("--set: {} has no option '{}'{}{}", analysis.name, name,
                               known.empty() ? "" : "; it has " + join(known),
                               did_you_mean(name, known)));
}

// What the section of an analysis says before anything is measured.
void introduce(const Analysis& analysis, Section& section) {
  section.name = analysis.name;
  section.title = analysis.title;
  section.question = analysis.question;
}

}  // namespace

std::filesystem::path AnalysisInput::partial_file(const std::string& name) const {
  return partial_directory.empty() ? std::filesystem::path() : partial_directory / name;
}

void throw_other_options(const std::type_info& wanted, const std::type_info& given) {
  throw Error(fmt::format("analysis: the function takes options of type {}, the input has {}",
                          wanted.name(), given.name()));
}

AnalysisInput with_settings(AnalysisInput input, const Analysis& analysis,
                            const OptionTexts& given) {
  input.settings = analysis.options.defaults();
  const std::string prefix = analysis.name + ".";
  for (const auto& [name, value] : given) {
    if (!name.starts_with(prefix)) continue;
    const auto setting = input.settings.find(name.substr(prefix.size()));
    if (setting == input.settings.end()) throw_unknown(name, analysis);
    setting->second = value;
  }
  input.options = analysis.options.read(analysis.name, input.settings);
  return input;
}

std::string what_lacks(const Analysis& analysis, const AnalysisInput& input) {
  if (input.data && input.data->count == 0 &&
      !(analysis.brings_pictures && analysis.brings_pictures(input)))
    return input.data->name +
           " is known by its description only: pass the folder "
           "that holds train/ and val/ as --data.";
  if (analysis.uses_train && input.train && input.train->count == 0)
    return input.train->name + " has no training pictures.";
  return analysis.lacking ? analysis.lacking(input) : std::string();
}

Section run_analysis(const Analysis& analysis, AnalysisInput input) {
  std::vector<std::string> reasons;
  std::vector<Subject> suited;
  for (const Subject& subject : input.subjects) {
    const std::string reason = analysis.unsuited ? analysis.unsuited(subject) : std::string();
    if (reason.empty()) suited.push_back(subject);
    else reasons.push_back(subject.label + ": " + reason);
  }
  const std::string lacking = what_lacks(analysis, input);
  if (!lacking.empty()) reasons = {lacking};
  if (suited.empty() || !lacking.empty()) {
    Section section;
    introduce(analysis, section);
    section.finding = "Does not apply. " + join(reasons, " ");
    return section;
  }
  input.subjects = std::move(suited);
  Section section = analysis.run(input);
  introduce(analysis, section);
  section.cost = analysis.cost;
  for (const std::string& reason : reasons) section.caveats.push_back("Left out: " + reason);
  return section;
}

}  // namespace passband
