#include "analysis/study/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/finite.h"
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

Section inapplicable(Section section, const std::vector<std::string>& reasons) {
  section.applies = false;
  section.finding = "Does not apply. " + join(reasons, " ");
  return section;
}

// Takes out the networks that `reason` has something against. Returns "label: reason" of each.
template <class Reason> std::vector<std::string> take_out(AnalysisInput& input, Reason&& reason) {
  std::vector<std::string> reasons;
  std::vector<Subject> kept;
  for (Subject& subject : input.subjects) {
    const std::string text = reason(subject);
    if (text.empty()) kept.push_back(std::move(subject));
    else reasons.push_back(subject.label + ": " + text);
  }
  input.subjects = std::move(kept);
  return reasons;
}

// A value without a text of its own is a number: where it is none, that is said in its place.
void name_non_finite_values(Section& section) {
  for (ReportValue& value : section.values) {
    if (std::isfinite(value.value) || !value.text.empty()) continue;
    value.text = "not finite";
    section.not_finite.push_back((value.subject.empty() ? "" : value.subject + ": ") + value.label);
  }
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
  if (analysis.uses_labels && input.data && !input.data->labelled)
    return "It needs labels, and the pictures of " + input.data->name + " have none.";
  if (analysis.uses_train && input.train && input.train->count == 0)
    return input.train->name + " has no training pictures.";
  return analysis.lacking ? analysis.lacking(input) : std::string();
}

Section run_analysis(const Analysis& analysis, AnalysisInput input) {
  Section section;
  introduce(analysis, section);
  const std::string lacking = what_lacks(analysis, input);
  if (!lacking.empty()) return inapplicable(section, {lacking});
  const std::vector<std::string> unsuited = take_out(input, [&](const Subject& subject) {
    return analysis.unsuited ? analysis.unsuited(subject) : std::string();
  });
  if (input.subjects.empty()) return inapplicable(section, unsuited);
  std::vector<std::string> not_finite = take_out(
      input, [](const Subject& subject) { return non_finite_weights(subject.model.get()); });
  while (!input.subjects.empty()) {
    try {
      section = analysis.run(input);
      break;
    } catch (const NotFinite& found) {
      const std::vector<std::string> gone = take_out(input, [&](const Subject& subject) {
        return subject.model.get() == &found.model() ? found.what() : std::string();
      });
      if (gone.empty()) throw;
      not_finite.insert(not_finite.end(), gone.begin(), gone.end());
    }
  }
  introduce(analysis, section);
  if (input.subjects.empty()) section.finding = "Not measured. " + join(not_finite, "; ") + ".";
  name_non_finite_values(section);
  for (const std::string& reason : unsuited) section.caveats.push_back("Left out: " + reason);
  for (const std::string& what : not_finite) section.caveats.push_back("Left out: " + what + ".");
  section.not_finite.insert(section.not_finite.begin(), not_finite.begin(), not_finite.end());
  return section;
}

}  // namespace passband
