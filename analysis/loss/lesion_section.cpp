#include "analysis/loss/lesion_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/study/claims.h"
#include "analysis/study/kind_points.h"
#include "analysis/study/kind_words.h"
#include "analysis/study/wording.h"

namespace passband {
namespace {

// All lesions of one network with their results, in groups of one kind of removal.
struct Group {
  std::string name;
  std::vector<Lesion> lesions;
  std::vector<LesionResult> results;

  double change(size_t i) const { return 100 * results[i].change(); }
};

struct LesionStudy {
  DepthAxis branches;
  std::vector<Group> groups;  // branches; then what else there is
};

LesionStudy study_of(const Subject& subject, const AnalysisInput& input, Removal removal,
                     const Progress& progress) {
  LesionStudy study{.branches = branches_of(*subject.model)};
  study.groups.push_back({"branch removed", branch_lesions(study.branches), {}});
  study.groups.push_back({"whole block removed", block_lesions(study.branches), {}});
  study.groups.push_back(
      {"one convolution removed", convolution_lesions(*subject.model, study.branches), {}});
  std::erase_if(study.groups, [](const Group& group) { return group.lesions.empty(); });
  std::vector<Lesion> all;
  for (const Group& group : study.groups)
    all.insert(all.end(), group.lesions.begin(), group.lesions.end());
  const std::vector<LesionResult> results =
      run_lesions(*subject.model, *input.data, all, removal,
                  {.images = input.pictures(500), .batch_size = 250, .progress = progress});
  auto next = results.begin();
  for (Group& group : study.groups) {
    group.results.assign(next, next + std::ssize(group.lesions));
    next += std::ssize(group.lesions);
  }
  return study;
}

// Mean change over all parts, in [-1, 1].
double mean_change(const Group& group) {
  double total = 0;
  for (const LesionResult& result : group.results) total += result.change();
  return total / static_cast<double>(group.results.size());
}

std::string points_text(double change) { return fmt::format("{:+.1f}", change); }

// "without layer1.0 (-12.0 points)", as a loss, a gain or neither.
std::string effect(const Named& part) {
  const std::string where =
      fmt::format("without {} ({} points)", part.name, points_text(part.estimate.value));
  switch (judge(part.estimate)) {
    case Verdict::below: return "loses " + where;
    case Verdict::above: return "gains " + where;
    default: return "is no worse " + where;
  }
}

// Changes of the parts for which `wanted` holds.
template <class Wanted> std::vector<double> changes(const Group& group, Wanted&& wanted) {
  std::vector<double> result;
  for (size_t i = 0; i < group.lesions.size(); ++i)
    if (wanted(group.lesions[i])) result.push_back(group.change(i));
  return result;
}

std::string ranking(const Group& group) {
  std::vector<Named> parts;
  for (size_t i = 0; i < group.lesions.size(); ++i)
    parts.push_back({group.lesions[i].label,
                     Estimate::within(group.change(i), 100 * group.results[i].interval())});
  const Ends ends = ends_of(parts);
  if (!ends.differ)
    return fmt::format(
        "does not need one part more than another within the counting error ({} points)",
        range_text(changes(group, [](const Lesion&) { return true; }), points_text));
  return fmt::format("needs {} most: it {}; it needs {} least: it {}", parts[ends.least].name,
                     effect(parts[ends.least]), parts[ends.most].name, effect(parts[ends.most]));
}

// What the parts of each kind change.
std::string by_kind(const Group& group) {
  std::string text;
  int present = 0;
  for (const auto& [kind, name] : kKindWords) {
    const std::vector<double> of_kind =
        changes(group, [kind = kind](const Lesion& l) { return l.kind == kind; });
    if (!of_kind.empty())
      text +=
          fmt::format("{}{} parts {}", present++ ? ", " : "", name, together(of_kind, points_text));
  }
  return present > 1 ? "; by kind, in points: " + text : std::string();
}

std::string sentence(const LesionStudy& study, const Subject& subject) {
  const Group& first = study.groups.front();
  std::string text = fmt::format("{} ({:.1f} % right on these pictures) {}", subject.label,
                                 100 * static_cast<double>(first.results[0].intact) /
                                     static_cast<double>(first.results[0].pictures),
                                 ranking(first));
  const auto ends = [&](const Lesion& l) { return ends_stage(study.branches, l.depth); };
  const std::vector<double> at_end = changes(first, ends),
                            inside = changes(first, [&](const Lesion&l) { return !ends(l); });
  const bool stages = study.branches[0].height != study.branches[study.branches.size() - 1].height;
  if (stages && !inside.empty())
    text += fmt::format(
        "; a part at the end of a stage changes the accuracy, in points, by {}, another by {}",
        together(at_end, points_text), together(inside, points_text));
  return text + by_kind(first) + ".";
}

NetworkEffects effects_of(const std::string& network, const Group& group) {
  NetworkEffects effects{.network = network};
  for (size_t i = 0; i < group.lesions.size(); ++i)
    effects.parts.push_back({group.lesions[i].kind, group.lesions[i].label,
                             Estimate::within(group.change(i), 100 * group.results[i].interval())});
  return effects;
}

void add_claims(const NetworkEffects& effects, Section& section) {
  const auto add = [&](BlockKind kind, const char* key, const char* name) {
    const Estimate change = mean_effect(effects, kind);
    if (!std::isfinite(change.value)) return;
    add_claim(
        section,
        {.text = std::string("Without one of its ") + name + " branches it is right less often",
         .key = key,
         .label = std::string("Change without one ") + name + " branch, mean over branches",
         .side = Verdict::below,
         .words = [](double v) { return points_text(v) + " points"; }},
        effects.network, change);
  };
  add(BlockKind::msa, "msa_change", "attention");
  add(BlockKind::lambda, "lambda_change", "lambda");
  add(BlockKind::conv, "convolution_change", "convolution");
}

plot::Kind kind_of(BlockKind kind) {
  TapSite site;
  site.kind = kind;
  return figure_kind(site);
}

plot::Panel panel_of(const LesionStudy& study, const std::string& title) {
  plot::Panel panel{.title = title,
                    .x = {.label = "part taken out", .categories = study.branches.labels()},
                    .y = {.label = "change of accuracy", .unit = "points", .from_zero = true}};
  const Group& first = study.groups.front();
  plot::Bars bars{.name = first.name};
  for (size_t i = 0; i < first.lesions.size(); ++i) {
    const double half = 100 * first.results[i].interval();
    bars.x.push_back(static_cast<double>(first.lesions[i].depth));
    bars.y.push_back(first.change(i));
    bars.low.push_back(first.change(i) - half);
    bars.high.push_back(first.change(i) + half);
    bars.kinds.push_back(kind_of(first.lesions[i].kind));
  }
  panel.bars = {std::move(bars)};
  for (size_t g = 1; g < study.groups.size(); ++g) {
    const Group& group = study.groups[g];
    plot::Points points{.name = group.name, .style = static_cast<int>(g)};
    for (size_t i = 0; i < group.lesions.size(); ++i) {
      // Where several parts belong to one block they stand beside each other.
      const auto before =
          std::count_if(group.lesions.begin(), group.lesions.begin() + static_cast<int64_t>(i),
                        [&](const Lesion& l) { return l.depth == group.lesions[i].depth; });
      points.x.push_back(static_cast<double>(group.lesions[i].depth) +
                         0.25 * static_cast<double>(before));
      points.y.push_back(group.change(i));
      points.labels.push_back(group.lesions[i].label);
    }
    panel.points.push_back(std::move(points));
  }
  for (size_t i = 0; i + 1 < study.branches.size(); ++i)
    if (ends_stage(study.branches, i))
      panel.references.push_back(
          {plot::Reference::Along::vertical, static_cast<double>(i) + 0.5, "stage ends"});
  for (size_t r = 1; r < panel.references.size(); ++r) panel.references[r].label.clear();
  return panel;
}

}  // namespace

Section lesion_section(const AnalysisInput& input, const LesionOptions& options) {
  Section section;
  plot::Figure figure{.name = "lesion",
                      .title = "Change of the accuracy when one part is taken out, against depth."};
  std::vector<NetworkEffects> effects;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const LesionStudy study = study_of(subject, input, options.removal, input.part_of(s));
    section.finding += (s > 0 ? " " : "") + sentence(study, subject);
    const Group& first = study.groups.front();
    const auto worst =
        std::ranges::min_element(first.results, {}, &LesionResult::change) - first.results.begin();
    section.values.push_back({.key = "worst_change",
                              .label = "Largest loss of accuracy",
                              .value = first.results[static_cast<size_t>(worst)].change(),
                              .detail = first.lesions[static_cast<size_t>(worst)].label,
                              .subject = subject.label});
    section.values.push_back({.key = "mean_change",
                              .label = "Mean change of accuracy",
                              .value = mean_change(first),
                              .subject = subject.label});
    effects.push_back(effects_of(subject.label, first));
    add_claims(effects.back(), section);
    figure.panels.push_back(panel_of(study, subject.label));
  }
  section.reading =
      "Each bar is the trained network with one residual branch missing: the block passes its "
      "input on (through the shortcut, where the shape changes). Nothing is trained again. Bars "
      "near zero are parts the network can do without; intervals cover 95 % and are computed from "
      "the same pictures with and without the part.";
  section.caveats = {fmt::format(
      "{}. A part that is missed may be missed for its scale rather than for what it "
      "computes: norms behind it keep the statistics of the whole network; lesion.removal=mean "
      "keeps the mean of the branch. One convolution is removed by setting its weights to zero, "
      "the norms around it stay.",
      counted(input.pictures(500), "test picture"))};
  plot::Figure kinds = kind_figure("lesion-change", "Change of the accuracy without each branch.",
                                   {.label = "change of accuracy", .unit = "points"}, effects);
  figure.alt = kinds.alt = section.finding;
  if (!kinds.panels.empty()) section.figures.push_back(std::move(kinds));
  section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace passband
