#include "analysis/study/along.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "analysis/study/study.h"
#include "tensor/core/file.h"
#include "tensor/core/random.h"

namespace passband {
namespace {

using nlohmann::json;

constexpr size_t kMostPanels = 8;

// The values of the analysis at one checkpoint.
struct Moment {
  int64_t epoch = 0;
  std::vector<ReportValue> values;
};

std::vector<RunCheckpoint> kept_weights(const Subject& subject) {
  if (!subject.run)
    throw UsageError(subject.label + ": --along needs a run; these weights come without one");
  std::vector<RunCheckpoint> found = checkpoints(*subject.run);
  if (found.empty())
    throw UsageError(fmt::format(
        "{}: the run kept no weights along its way; train it with --checkpoint-interval 1",
        subject.run->directory.filename().string()));
  return found;
}

std::optional<std::vector<ReportValue>> stored_values(const std::filesystem::path& file) {
  if (file.empty() || !std::filesystem::is_regular_file(file)) return std::nullopt;
  std::vector<ReportValue> values;
  try {
    for (const json& in : json::parse(read_file(file.string())))
      values.push_back(
          {.key = in.at("key"),
           .label = in.at("label"),
           .value = in.at("value").is_null() ? std::nan("") : in.at("value").get<double>()});
  } catch (const json::exception&) {
    return std::nullopt;
  }
  return values;
}

void store_values(const std::filesystem::path& file, const std::vector<ReportValue>& values) {
  if (file.empty()) return;
  json out = json::array();
  for (const ReportValue& value : values)
    out.push_back({{"key", value.key}, {"label", value.label}, {"value", value.value}});
  write_file_atomically(file.string(), out.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::vector<ReportValue> values_at(const Analysis& analysis, const AnalysisInput& input,
                                   const Subject& subject, const RunCheckpoint& checkpoint,
                                   const Progress& progress, std::vector<std::string>& not_finite) {
  const auto file = input.partial_file(fmt::format(
      "along-{:016x}-{}.json", site_of(subject.run->directory.string()), checkpoint.epoch));
  if (auto values = stored_values(file)) return *values;
  AnalysisInput at = input;
  at.progress = progress;
  std::shared_ptr<Model> model = load_run_model(*subject.run, checkpoint.which);
  model->to(subject.model->device());
  at.subjects = {make_subject(subject.label, std::move(model), subject.run)};
  const Section section = run_analysis(analysis, at);
  for (const std::string& what : section.not_finite)
    not_finite.push_back(fmt::format("epoch {}: {}", checkpoint.epoch, what));
  if (section.not_finite.empty()) store_values(file, section.values);
  return section.values;
}

const ReportValue* find_value(const Moment& moment, const std::string& key) {
  const auto found = std::ranges::find(moment.values, key, &ReportValue::key);
  return found == moment.values.end() ? nullptr : &*found;
}

plot::Line line_of(const std::string& name, const std::vector<Moment>& moments,
                   const std::string& key) {
  plot::Line line{.name = name};
  for (const Moment& moment : moments) {
    const ReportValue* value = find_value(moment, key);
    line.x.push_back(static_cast<double>(moment.epoch));
    line.y.push_back(value ? value->value : std::nan(""));
  }
  return line;
}

// "Test accuracy of resnet goes from 0.1 to 0.8 between epochs 0 and 9.", of its first and last
// value.
std::string change(const plot::Panel& panel) {
  std::string text;
  for (const plot::Line& line : panel.lines) {
    std::vector<size_t> known;
    for (size_t i = 0; i < line.y.size(); ++i)
      if (std::isfinite(line.y[i])) known.push_back(i);
    if (known.size() < 2) continue;
    const size_t first = known.front(), last = known.back();
    const std::string from = fmt::format("{:.3g}", line.y[first]),
                      to = fmt::format("{:.3g}", line.y[last]);
    text += fmt::format(
        "{}{} of {} {} between epochs {} and {}.", text.empty() ? "" : " ", panel.title, line.name,
        from == to ? "is " + from + " before and after" : "goes from " + from + " to " + to,
        line.x[first], line.x[last]);
  }
  return text;
}

// One of each key that the first network has at any of its weights.
std::vector<ReportValue> followed(const std::vector<Moment>& moments, const std::string& label) {
  std::vector<ReportValue> values;
  for (const Moment& moment : moments)
    for (const ReportValue& value : moment.values)
      if ((value.subject.empty() || value.subject == label) &&
          std::ranges::find(values, value.key, &ReportValue::key) == values.end())
        values.push_back(value);
  return values;
}

}  // namespace

std::string along_name(const Analysis& analysis) { return analysis.name + "-along"; }

Section along_section(const Analysis& analysis, const AnalysisInput& input) {
  std::vector<std::vector<Moment>> runs;
  std::vector<std::string> not_finite;
  const auto count = static_cast<int64_t>(input.subjects.size());
  for (int64_t s = 0; s < count; ++s) {
    const Subject& subject = input.subjects[static_cast<size_t>(s)];
    const std::vector<RunCheckpoint> kept = kept_weights(subject);
    const Progress whole = input.part_of(static_cast<size_t>(s));
    std::vector<Moment>& moments = runs.emplace_back();
    for (size_t c = 0; c < kept.size(); ++c) {
      const Progress part = whole.part(static_cast<int64_t>(c), static_cast<int64_t>(kept.size()),
                                       fmt::format("epoch {}", kept[c].epoch));
      moments.push_back(
          {kept[c].epoch, values_at(analysis, input, subject, kept[c], part, not_finite)});
    }
  }
  Section section{.name = along_name(analysis), .title = analysis.name + " along the training"};
  section.question = "Along the training: " + analysis.question;
  plot::Figure figure{.name = section.name, .columns = 2};
  figure.title = "Values of the analysis " + analysis.name + " at the weights kept along the way.";
  for (const ReportValue& value : followed(runs[0], input.subjects[0].label)) {
    plot::Panel panel{.title = value.label, .x = {.label = "epoch"}};
    for (size_t s = 0; s < runs.size(); ++s)
      panel.lines.push_back(line_of(input.subjects[s].label, runs[s], value.key));
    const std::string text = change(panel);
    section.finding += (section.finding.empty() || text.empty() ? "" : " ") + text;
    if (figure.panels.size() < kMostPanels) figure.panels.push_back(std::move(panel));
  }
  for (const std::string& what : not_finite) section.caveats.push_back("Left out: " + what + ".");
  section.not_finite = std::move(not_finite);
  figure.share_axes = false;
  if (figure.panels.size() == 1) figure.columns = 1;
  section.reading =
      "One panel for each value of the analysis. Epoch 0 is the network before training.";
  if (figure.panels.empty()) {
    section.finding = analysis.name + " reports no values that could be followed along a training.";
    return section;
  }
  figure.alt = section.finding;
  section.figures.push_back(std::move(figure));
  return section;
}

std::string along_key(const Analysis& analysis, const AnalysisInput& input) {
  std::string key = "along " + section_key(analysis, input);
  for (const Subject& subject : input.subjects)
    for (const RunCheckpoint& checkpoint : kept_weights(subject))
      key += fmt::format(" {}:{:016x}", checkpoint.epoch,
                         site_of(read_file((subject.run->directory / checkpoint.which).string())));
  return key;
}

}  // namespace passband
