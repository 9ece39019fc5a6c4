#include "analysis/decisions/shape_bias_section.h"

#include <fmt/format.h>

#include <cmath>

#include "analysis/study/claims.h"
#include "analysis/study/compare.h"
#include "analysis/study/picture_maps.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kExamples = 8;

ConflictPictures pictures_of(const AnalysisInput& input, const ShapeBiasOptions& options) {
  if (!options.folder.empty())
    return folder_conflicts(options.folder, options.mapping, *input.data);
  return shapes_conflicts(*input.data, input.images_or(2000), options.seed);
}

struct Answers {
  std::vector<int32_t> decided;  // by picture
  std::vector<bool> by_shape;
  CueDecisions counts;
};

Answers answers_of(const Subject& subject, const ConflictPictures& conflicts, Pool pool,
                   const Progress& progress) {
  Answers answers;
  const Dataset& data = conflicts.pictures;
  run_pass(
      *subject.model, data, {.images = data.count, .batch_size = 200, .progress = progress},
      {"logits"}, [](const TapSite&, const Tensor&) {},
      [&](const std::vector<int64_t>&, const Tensor&, const Tensor& logits) {
        const std::vector<int32_t> batch =
            decide(cast(logits, DType::f64).values(), data.num_classes(), conflicts.members, pool);
        answers.decided.insert(answers.decided.end(), batch.begin(), batch.end());
      });
  for (size_t i = 0; i < answers.decided.size(); ++i)
    answers.by_shape.push_back(answers.decided[i] == data.shape_ids[i]);
  answers.counts = count_decisions(answers.decided, data.shape_ids, data.texture_ids,
                                   static_cast<int64_t>(conflicts.categories.size()));
  return answers;
}

std::string share_text(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f} %", 100 * share) : "undecided";
}

Estimate bias_of(const CueDecisions& counts) {
  return share_of(static_cast<double>(counts.shape),
                  static_cast<double>(counts.shape + counts.texture));
}

std::string sentence(const std::string& label, const CueDecisions& counts) {
  const Verdict verdict = judge(bias_of(counts), 0.5);
  return fmt::format(
      "{} decides for the shape in {} and for the texture in {} of {} {} "
      "whose cues disagree: shape bias {}, {}.",
      label, counts.shape, counts.texture, counts.pictures,
      counts.pictures == 1 ? "picture" : "pictures", share_text(counts.bias()),
      verdict == Verdict::above   ? "it goes by shape more often"
      : verdict == Verdict::below ? "it goes by texture more often"
                                  : "neither cue wins within the counting error");
}

// Cohen's kappa of every two networks, by name; the same in words.
std::string add_consistencies(const std::vector<Subject>& subjects,
                              const std::vector<Answers>& answers, Section& section) {
  std::string text;
  for (size_t i = 0; i < subjects.size(); ++i)
    for (size_t j = i + 1; j < subjects.size(); ++j) {
      const double kappa = error_consistency(answers[i].by_shape, answers[j].by_shape);
      if (!std::isfinite(kappa)) continue;
      text += fmt::format("{}{} and {} agree with a kappa of {:.2f}.", text.empty() ? "" : " ",
                          subjects[i].label, subjects[j].label, kappa);
      section.values.push_back(
          {.key = i + j == 1 ? "error_consistency"
                             : fmt::format("error_consistency_{}_{}", i + 1, j + 1),
           .label = "Error consistency of " + subjects[i].label + " and " + subjects[j].label,
           .value = kappa});
    }
  return text;
}

void add_values(Section& section, const Subject& subject, const CueDecisions& counts) {
  const auto decided = static_cast<double>(counts.shape + counts.texture);
  const auto pictures = static_cast<double>(std::max<int64_t>(1, counts.pictures));
  section.values.push_back({.key = "shape_bias",
                            .label = "Shape bias",
                            .value = counts.bias(),
                            .text = share_text(counts.bias()),
                            .subject = subject.label});
  section.values.push_back({.key = "cue_match",
                            .label = "Decided for one of the two cues",
                            .value = decided / pictures,
                            .text = share_text(decided / pictures),
                            .subject = subject.label});
}

// Shape bias against the category of the shape, one line of bars a network; the overall bias as the
// last group.
plot::Figure bias_figure(const AnalysisInput& input, const ConflictPictures& conflicts,
                         const std::vector<Answers>& answers) {
  plot::Panel panel{.x = {.categories = conflicts.categories},
                    .y = {.label = "decided by shape", .low = 0.0, .high = 1.0}};
  panel.x.categories.push_back("all");
  panel.references = {{.at = 0.5, .label = "either cue"}};
  for (size_t s = 0; s < answers.size(); ++s) {
    plot::Bars bars{.name = input.subjects[s].label};
    const CueDecisions& counts = answers[s].counts;
    const auto put = [&](int64_t shape, int64_t texture) {
      const auto n = static_cast<double>(shape + texture);
      const plot::Interval range = plot::wilson(static_cast<double>(shape), n);
      bars.x.push_back(static_cast<double>(bars.x.size()));
      bars.y.push_back(n > 0 ? static_cast<double>(shape) / n : 0);
      bars.low.push_back(n > 0 ? range.low : 0);
      bars.high.push_back(n > 0 ? range.high : 0);
    };
    for (size_t c = 0; c < conflicts.categories.size(); ++c)
      put(counts.shape_of[c], counts.texture_of[c]);
    put(counts.shape, counts.texture);
    panel.bars.push_back(std::move(bars));
  }
  plot::Figure figure{.name = "shape-bias"};
  figure.title =
      "Decisions for the shape among those for shape or texture, by the category of the shape.";
  figure.panels.push_back(std::move(panel));
  return figure;
}

plot::Figure consistency_figure(const std::vector<Subject>& subjects,
                                const std::vector<Answers>& answers) {
  const auto n = static_cast<int64_t>(subjects.size());
  plot::Heatmap map{
      .rows = n, .columns = n, .value = "error consistency", .map = plot::ColorMap::diverging};
  map.low = -1.0;
  map.high = 1.0;
  map.show_values = true;
  for (size_t i = 0; i < subjects.size(); ++i) {
    map.row_labels.push_back(subjects[i].label);
    for (size_t j = 0; j < subjects.size(); ++j)
      map.values.push_back(error_consistency(answers[i].by_shape, answers[j].by_shape));
  }
  map.column_labels = map.row_labels;
  plot::Figure figure{.name = "error-consistency"};
  figure.title =
      "Do two networks go by shape on the same pictures? 1: always together, 0: as by chance.";
  figure.panels.push_back({.heatmap = std::move(map)});
  return figure;
}

plot::Figure example_figure(const ConflictPictures& conflicts, const Subject& subject,
                            const Answers& answers) {
  plot::Figure figure{.name = "cue-conflict"};
  figure.title = "Cue-conflict pictures, and what " + subject.label + " goes by.";
  const Dataset& data = conflicts.pictures;
  for (const int64_t i : spread_indices(data.count, kExamples)) {
    const auto at = static_cast<size_t>(i);
    plot::Picture picture = picture_of(data, i, subject.model->options().image_size);
    const int32_t decided = answers.decided[at], shape = data.shape_ids[at],
                  texture = data.texture_ids[at];
    picture.caption =
        fmt::format("{} with {}: {}", conflicts.categories[static_cast<size_t>(shape)],
                    conflicts.textures[static_cast<size_t>(texture)],
                    decided == shape     ? "shape"
                    : decided == texture ? "texture"
                                         : "neither");
    picture.alt = picture.caption;
    figure.pictures.cells.push_back(std::move(picture));
  }
  figure.alt =
      "Pictures whose shape and texture belong to different "
      "categories, with the cue each answer went by.";
  return figure;
}

}  // namespace

Section shape_bias_section(const AnalysisInput& input, const ShapeBiasOptions& options) {
  Section section;
  const ConflictPictures conflicts = pictures_of(input, options);
  std::vector<Answers> answers;
  std::vector<Estimate> biases;
  const auto count = static_cast<int64_t>(input.subjects.size());
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    answers.push_back(answers_of(subject, conflicts, options.pool, input.part_of(s)));
    biases.push_back(bias_of(answers.back().counts));
    section.finding += (s > 0 ? " " : "") + sentence(subject.label, answers.back().counts);
    add_values(section, subject, answers.back().counts);
    add_claim(section,
              {.text = "It goes by shape rather than by texture",
               .key = "shape_bias",
               .side = Verdict::above,
               .reference = 0.5,
               .words = share_text},
              subject.label, biases.back());
  }
  std::string agreement;
  if (count > 1) {
    section.finding += " Shape bias: " + side_by_side(input.subjects, biases, share_text) + ".";
    agreement = add_consistencies(input.subjects, answers, section);
  }
  section.reading =
      "Each picture shows the outline of one category filled with the texture of another. Shape "
      "bias is the share of decisions for the outline among the decisions for either of the two; "
      "answers for a third category are left out. What a network was taught matters: on pictures "
      "whose cues always agree it is free to use either.";
  section.caveats = {
      "Bars carry 95 % Wilson intervals. Error consistency is "
      "Cohen's kappa of being right about the "
      "shape."};
  if (conflicts.left_out > 0)
    section.caveats.push_back(
        fmt::format("{} stimuli were left out: their categories agree, or the network does not "
                    "know one of them.",
                    conflicts.left_out));
  section.figures.push_back(bias_figure(input, conflicts, answers));
  section.figures.back().alt = section.finding;
  if (count > 1) {
    section.figures.push_back(consistency_figure(input.subjects, answers));
    section.figures.back().alt = agreement;
  }
  section.figures.push_back(example_figure(conflicts, input.subjects[0], answers[0]));
  return section;
}

}  // namespace passband
