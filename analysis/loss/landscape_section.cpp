#include "analysis/loss/landscape_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/contour.h"
#include "analysis/study/finite.h"

namespace passband {
namespace {

constexpr uint64_t kFirstSeed = 11, kSecondSeed = 12, kPictureSeed = 1;
constexpr int64_t kSurfaceBatch = 128;

std::vector<double> sides(int64_t points, double reach) {
  CHECK(points >= 3 && points % 2 == 1,
        "landscape: a side needs an odd number of points from 3, not ", points);
  std::vector<double> result;
  for (int64_t i = 0; i < points; ++i)
    result.push_back(reach * (2 * static_cast<double>(i) / static_cast<double>(points - 1) - 1));
  return result;
}

// The surfaces of one network.
struct Surfaces {
  std::string label;
  std::vector<double> line, side;  // places along an axis
  std::vector<LandscapePoint> first, second, plane;
  double rise_at = 0;  // distance at which the loss is one nat higher, mean over both lines

  LandscapePoint centre() const { return first[first.size() / 2]; }
};

std::vector<double> losses(const std::vector<LandscapePoint>& points) {
  std::vector<double> result;
  for (const LandscapePoint& p : points) result.push_back(p.loss());
  return result;
}

Surfaces measure(const AnalysisInput& input, const LandscapeOptions& options,
                 const Subject& subject, size_t index, const Progress& progress) {
  const ParameterStore& store = subject.model->store();
  Surfaces result{.label = subject.label,
                  .line = sides(options.line_points, options.reach),
                  .side = sides(options.side_points, options.reach)};
  // Both lines and the plane are places of one plane: one pass, one file of finished points.
  std::vector<LandscapePoint> points = landscape_grid(result.line, {});
  for (const double b : result.line) points.push_back({.b = b});
  const std::vector<LandscapePoint> grid = landscape_grid(result.side, result.side);
  points.insert(points.end(), grid.begin(), grid.end());
  const LossBatches batches = loss_batches(input, subject, input.images_or(128), kSurfaceBatch,
                                           options.augment, kPictureSeed);
  measure_landscape(*subject.model, batches,
                    {.first = landscape_direction(store, kFirstSeed, options.scaling),
                     .second = landscape_direction(store, kSecondSeed, options.scaling),
                     .terms = loss_terms(input, options, subject),
                     .partial = input.partial_file(fmt::format("landscape-{}", index + 1)),
                     .progress = progress},
                    points);
  const auto n = std::ssize(result.line);
  const double at_rest = points[static_cast<size_t>(n / 2)].loss();
  check_finite(*subject.model, std::span(&at_rest, 1), "values of its loss");
  result.first.assign(points.begin(), points.begin() + n);
  result.second.assign(points.begin() + n, points.begin() + 2 * n);
  result.plane.assign(points.begin() + 2 * n, points.end());
  result.rise_at = (distance_of_rise(result.line, losses(result.first), 1) +
                    distance_of_rise(result.line, losses(result.second), 1)) /
                   2;
  return result;
}

std::string sentence(const Surfaces& s, double reach) {
  const LandscapePoint centre = s.centre();
  const std::string rise =
      std::isfinite(s.rise_at)
          ? fmt::format("is one nat higher at a distance of {:.2f}", s.rise_at)
          : fmt::format("rises by less than one nat up to a distance of {:g}", reach);
  return fmt::format("The loss of {} is {:.3g} at the trained weights ({:.1f} % right) and {}.",
                     s.label, centre.loss(), 100 * centre.accuracy, rise);
}

void add_results(const Surfaces& s, size_t index, double reach, Section& section) {
  section.values.push_back(
      {.key = "rise_distance",
       .label = "Distance at which the loss is one nat higher",
       .value = s.rise_at,
       .text = std::isfinite(s.rise_at) ? "" : fmt::format("beyond {:g}", reach),
       .detail = "in units of the filters' lengths, mean of two directions",
       .subject = s.label});
  section.values.push_back({.key = "centre_loss",
                            .label = "Loss at the trained weights",
                            .value = s.centre().loss(),
                            .subject = s.label});
  std::vector<double> nll, accuracy;
  for (const LandscapePoint& p : s.plane) nll.push_back(p.nll), accuracy.push_back(p.accuracy);
  const auto side = std::ssize(s.side);
  section.arrays.push_back(
      {fmt::format("landscape-nll-{}", index + 1), {side, side}, std::move(nll)});
  section.arrays.push_back(
      {fmt::format("landscape-accuracy-{}", index + 1), {side, side}, std::move(accuracy)});
}

plot::Figure line_figure(const std::vector<Surfaces>& all) {
  const plot::Axis x{.label = "distance along the direction"};
  plot::Panel loss{.x = x, .y = {.label = "loss"}},
      accuracy{.x = x, .y = {.label = "accuracy", .unit = "%"}};
  bool wide = false;
  for (size_t i = 0; i < all.size(); ++i)
    for (const auto& [points, name] :
         {std::pair{&all[i].first, ""}, std::pair{&all[i].second, ", second direction"}}) {
      plot::Line curve{.name = all[i].label + name, .x = all[i].line, .style = static_cast<int>(i)};
      curve.faint = points == &all[i].second;
      plot::Line right = curve;
      for (const LandscapePoint& p : *points) {
        curve.y.push_back(p.loss());
        right.y.push_back(100 * p.accuracy);
        wide = wide || p.loss() > 10 * all[i].centre().loss();
      }
      loss.lines.push_back(std::move(curve));
      accuracy.lines.push_back(std::move(right));
    }
  if (wide) loss.y.scale = plot::Scale::log10;
  return {.name = "landscape-lines",
          .title = "Loss and accuracy along two random directions through the trained weights.",
          .panels = {std::move(loss), std::move(accuracy)},
          .columns = 2,
          .direct_labels = false};
}

plot::Panel plane_panel(const Surfaces& s) {
  plot::Contour contour{.x = s.side, .y = s.side, .values = losses(s.plane), .value = "loss"};
  plot::Panel panel{
      .title = s.label,
      .x = {.label = "first direction", .low = s.side.front(), .high = s.side.back()},
      .y = {.label = "second direction", .low = s.side.front(), .high = s.side.back()}};
  panel.contour = std::move(contour);
  return panel;
}

// The same levels for all, so that surfaces compare: from the lowest value to where the first of
// them ends.
void share_levels(std::vector<plot::Panel>& panels) {
  double low = INFINITY, high = INFINITY;
  for (const plot::Panel& panel : panels) {
    const plot::Interval range = plot::value_range(*panel.contour);
    low = std::min(low, range.low);
    high = std::min(high, range.high);
  }
  const std::vector<double> levels = plot::levels_between(low, high);
  for (plot::Panel& panel : panels) panel.contour->levels = levels;
}

}  // namespace

Section landscape_section(const AnalysisInput& input, const LandscapeOptions& options) {
  Section section;
  std::vector<Surfaces> all;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    all.push_back(measure(input, options, input.subjects[s], s, input.part_of(s)));
    add_results(all.back(), s, options.reach, section);
    section.finding += (s > 0 ? " " : "") + sentence(all.back(), options.reach);
  }
  section.reading =
      "The trained weights lie in the middle. A step of 1 along a direction changes every filter "
      "by a random one of its own length, so that distances compare across layers and networks. "
      "Wide, round, smooth levels belong to a flat minimum; narrow or ragged ones to a sharp or a "
      "non-convex place. Blank: the loss was not a number.";
  section.caveats = {
      fmt::format("{} {} pictures, {}; two random directions out of very many; norms and biases do "
                  "not move. The loss includes "
                  "weight decay ({}), which lifts the rim of the surface.",
                  input.images_or(128), input.train ? "training" : "test",
                  options.augment ? "augmented" : "not augmented",
                  loss_terms(input, options, input.subjects.front()).decay)};
  plot::Figure planes{.name = "landscape",
                      .title = "Loss on a plane through the trained weights.",
                      .columns = all.size() > 1 ? 2 : 1,
                      .share_axes = false};
  for (const Surfaces& s : all) planes.panels.push_back(plane_panel(s));
  share_levels(planes.panels);
  section.figures = {std::move(planes), line_figure(all)};
  for (plot::Figure& figure : section.figures) figure.alt = section.finding;
  return section;
}

}  // namespace passband
