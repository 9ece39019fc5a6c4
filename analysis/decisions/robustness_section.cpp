#include "analysis/decisions/robustness_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/decisions/robustness.h"
#include "analysis/study/claims.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

constexpr CorruptionGroup kGroups[] = {CorruptionGroup::noise, CorruptionGroup::blur,
                                       CorruptionGroup::weather, CorruptionGroup::digital};

// The measured kinds, the common ones first.
std::vector<Corruption> measured(const CorruptionScores& scores) {
  std::vector<Corruption> result;
  for (int i = 0; i < kCorruptions; ++i)
    if (std::isfinite(scores.mean(corruption_at(i)))) result.push_back(corruption_at(i));
  return result;
}

std::string words(Corruption kind) {
  std::string text(name_of(kind));
  std::ranges::replace(text, '_', ' ');
  return text;
}

// Which kinds hurt most and least. All show the same pictures: the intervals are those of so many.
std::string ranking(const CorruptionScores& scores, double pictures) {
  std::vector<Named> kinds;
  std::vector<double> means;
  for (const Corruption kind : measured(scores)) {
    means.push_back(scores.mean(kind));
    kinds.push_back({words(kind), share_of(means.back() * pictures, pictures)});
  }
  const Ends ends = ends_of(kinds);
  if (!ends.differ)
    return fmt::format("no difference between the corruptions within the counting error ({})",
                       range_text(means, percent));
  return fmt::format("{} hurts most ({}), {} least ({})", kinds[ends.least].name,
                     percent(kinds[ends.least].estimate.value), kinds[ends.most].name,
                     percent(kinds[ends.most].estimate.value));
}

std::string sentence(const Subject& subject, const CorruptionScores& scores, double pictures) {
  const std::string common =
      std::isfinite(scores.mean_common())
          ? fmt::format(" and, on average over the common corruptions, {} of corrupted pictures",
                        percent(scores.mean_common()))
          : " pictures";
  return fmt::format("{} is right in {} of clean{}; {}.", subject.label, percent(scores.clean),
                     common, ranking(scores, pictures));
}

void add_results(const Subject& subject, const CorruptionScores& scores, size_t index,
                 Section& section) {
  if (std::isfinite(scores.mean_common()))
    section.values.push_back({.key = "mean_corruption_accuracy",
                              .label = "Mean corruption accuracy",
                              .value = scores.mean_common(),
                              .text = percent(scores.mean_common()),
                              .detail = "15 common corruptions, 5 severities",
                              .headline = index == 0,
                              .subject = subject.label});
  section.values.push_back({.key = "clean_accuracy",
                            .label = "Accuracy on the same pictures, clean",
                            .value = scores.clean,
                            .text = percent(scores.clean),
                            .subject = subject.label});
  std::vector<double> table;
  for (const auto& severities : scores.accuracy)
    table.insert(table.end(), severities.begin(), severities.end());
  section.arrays.push_back(
      {fmt::format("robustness-{}", index + 1), {kCorruptions, kSeverities}, std::move(table)});
}

// Park and Kim, 2022: convolutions are hurt by high frequencies, attention by low ones. The clean
// pictures are the same, so that the difference of two losses is that of what is left. How much
// each group of corruptions takes away is the authors' choice, made for other networks: networks
// beside each other say more than the sign of one.
void add_claims(const std::string& network, const CorruptionScores& scores, Section& section) {
  std::vector<double> difference = scores.pictures[static_cast<size_t>(CorruptionGroup::noise)];
  const std::vector<double>& blur = scores.pictures[static_cast<size_t>(CorruptionGroup::blur)];
  if (difference.empty() || blur.empty()) return;
  for (size_t n = 0; n < difference.size(); ++n) difference[n] -= blur[n];
  add_claim(section,
            {.text = "Noise costs more accuracy than blur",
             .key = "noise_less_blur",
             .label = "Accuracy under noise less that under blur",
             .side = Verdict::below,
             .words = [](double v) { return fmt::format("{:+.1f} points", v); }},
            network, scaled(mean_of(difference), 100));
}

plot::Figure kinds_figure(const std::vector<Subject>& subjects,
                          const std::vector<CorruptionScores>& scores, double pictures) {
  const std::vector<Corruption> kinds = measured(scores.front());
  plot::Panel panel{.x = {.label = "corruption"},
                    .y = {.label = "accuracy", .unit = "%", .from_zero = true}};
  for (const Corruption kind : kinds) panel.x.categories.push_back(words(kind));
  for (size_t s = 0; s < subjects.size(); ++s) {
    plot::Bars bars{.name = subjects[s].label, .style = static_cast<int>(s)};
    for (size_t i = 0; i < kinds.size(); ++i) {
      const double mean = scores[s].mean(kinds[i]);
      // The five severities show the same pictures: an interval for the pictures, not for five
      // times as many.
      const plot::Interval interval = plot::wilson(mean * pictures, pictures);
      bars.x.push_back(static_cast<double>(i));
      bars.y.push_back(100 * mean);
      bars.low.push_back(100 * interval.low);
      bars.high.push_back(100 * interval.high);
    }
    panel.bars.push_back(std::move(bars));
    panel.references.push_back({plot::Reference::Along::horizontal, 100 * scores[s].clean,
                                subjects.size() > 1 ? "clean, " + subjects[s].label : "clean"});
  }
  return {.name = "robustness",
          .title = "Accuracy on corrupted pictures, mean over five severities.",
          .panels = {std::move(panel)}};
}

plot::Figure severity_figure(const std::vector<Subject>& subjects,
                             const std::vector<CorruptionScores>& scores) {
  plot::Figure figure{
      .name = "robustness-severity",
      .title = "Accuracy against the severity of the corruption, by group; 0 is the clean picture.",
      .columns = 2,
      .direct_labels = false};
  for (const CorruptionGroup group : kGroups) {
    if (!std::isfinite(scores.front().mean(group, 1))) continue;
    plot::Panel panel{.title = std::string(name_of(group)),
                      .x = {.label = "severity"},
                      .y = {.label = "accuracy", .unit = "%"}};
    for (size_t s = 0; s < subjects.size(); ++s) {
      plot::Line line{.name = subjects[s].label, .x = {0}, .y = {100 * scores[s].clean}};
      for (int severity = 1; severity <= kSeverities; ++severity) {
        line.x.push_back(severity);
        line.y.push_back(100 * scores[s].mean(group, severity));
      }
      panel.lines.push_back(std::move(line));
    }
    figure.panels.push_back(std::move(panel));
  }
  return figure;
}

// One picture under every kind, at the middle severity.
plot::Figure gallery(const Dataset& data, int64_t side, int64_t index, uint64_t seed) {
  plot::Figure figure{.name = "robustness-pictures",
                      .title = "One test picture under every corruption, severity 3."};
  figure.pictures.columns = 5;
  const std::vector<uint8_t> clean = picture_of(data, index, side).rgb;
  const auto add = [&](std::vector<uint8_t> pixels, const std::string& caption) {
    figure.pictures.cells.push_back({.width = side,
                                     .height = side,
                                     .rgb = std::move(pixels),
                                     .caption = caption,
                                     .alt = caption});
  };
  add(clean, "clean");
  for (int i = 0; i < kCorruptions; ++i) {
    std::vector<uint8_t> broken(clean.size());
    corrupt(corruption_at(i), 3, clean.data(), side, seed, index, broken.data());
    add(std::move(broken), words(corruption_at(i)));
  }
  return figure;
}

}  // namespace

Section robustness_section(const AnalysisInput& input, const RobustnessOptions& options) {
  Section section;
  std::optional<CorruptionFiles> files;
  if (options.files)
    files.emplace(*options.files, input.data->classes,
                  input.subjects[0].model->options().image_size);
  const int64_t images = input.pictures(100);
  const std::vector<CorruptionScores> scores =
      measure_corruptions(input.subjects, *input.data,
                          {.images = images,
                           .seed = options.seed,
                           .extra = options.extra,
                           .files = files ? &*files : nullptr,
                           .progress = input.progress});
  const auto pictures =
      static_cast<double>(std::min(images, files ? files->count() : input.data->count));
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    section.finding += (s > 0 ? " " : "") + sentence(input.subjects[s], scores[s], pictures);
    add_results(input.subjects[s], scores[s], s, section);
    add_claims(input.subjects[s].label, scores[s], section);
  }
  section.reading =
      "Bars show the accuracy on pictures that were spoilt after the network was trained, averaged "
      "over five severities, with 95 % intervals for the number of pictures. Noise adds high "
      "frequencies, blur takes them away: convolutions suffer more from the former, attention from "
      "the latter, if the networks differ as published.";
  section.caveats.push_back(
      files
          ? fmt::format("{} pictures of each kind and severity from {}.", pictures, *options.files)
          : fmt::format(
                "{} test pictures, corrupted by our own code from the published parameters "
                "(Hendrycks and Dietterich, 2019). Frost is drawn, not photographed, so its "
                "numbers do not compare with published ones; the others use other random numbers "
                "than the published files.",
                pictures));
  section.figures = {kinds_figure(input.subjects, scores, pictures),
                     severity_figure(input.subjects, scores)};
  for (plot::Figure& figure : section.figures) figure.alt = section.finding;
  if (!files) {
    section.figures.push_back(
        gallery(*input.data, input.subjects.front().model->options().image_size, 0, options.seed));
    section.figures.back().alt = "What the corruptions look like.";
  }
  return section;
}

}  // namespace passband
