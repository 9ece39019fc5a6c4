// Section: do layers represent the pictures alike?
#include <fmt/format.h>

#include <cmath>

#include "analysis/analysis.h"
#include "analysis/cka.h"
#include "analysis/depth_axis.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kBatch = 256;

struct Grams {
  DepthAxis axis;
  std::vector<Tensor> rows;   // of the batch that is running
  std::vector<bool> dead;
};

// U-centred Grams of every layer, batch after batch.
void visit_batches(const Subject& subject, const Dataset& data, int64_t images, Grams& grams,
                   const std::function<void(const Tensor&)>& after_batch) {
  const auto visit = [&](const TapSite& site, const Tensor& buffer) {
    const size_t i = grams.axis.index_of(site);
    grams.rows.resize(grams.axis.size());
    grams.dead.resize(grams.axis.size());
    bool dead = false;
    const Tensor gram = u_centred_gram(cast(buffer, DType::f32), dead);
    grams.dead[i] = grams.dead[i] || dead;
    grams.rows[i] = reshape(gram, Shape{1, gram.numel()});
  };
  const PassOptions pass{.images = images, .batch_size = std::min(images, kBatch), .whole_batches = true};
  run_pass(*subject.model, data, pass, {"out"}, visit,
           [&](const std::vector<int64_t>&, const Tensor&, const Tensor&) { after_batch(concat(grams.rows, 0)); });
}

void hide_dead(std::vector<double>& matrix, const std::vector<bool>& rows, const std::vector<bool>& columns) {
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < columns.size(); ++j)
      if (rows[i] || columns[j]) matrix[i * columns.size() + j] = std::nan("");
}

struct Similarity {
  std::vector<double> matrix;
  DepthAxis rows, columns;
};

Similarity self_similarity(const Subject& subject, const Dataset& data, int64_t images) {
  Grams grams;
  std::optional<MinibatchCka> sums;
  visit_batches(subject, data, images, grams, [&](const Tensor& batch) {
    if (!sums) sums.emplace(batch.size(0), batch.size(0));
    sums->add(batch, batch);
  });
  Similarity result{sums->matrix(), grams.axis, grams.axis};
  hide_dead(result.matrix, grams.dead, grams.dead);
  return result;
}

Similarity cross_similarity(const Subject& a, const Subject& b, const Dataset& data, int64_t images) {
  std::vector<Tensor> stored;  // n^2 L doubles a batch: both networks must see a batch before it can be summed
  Grams rows, columns;
  visit_batches(a, data, images, rows, [&](const Tensor& batch) { stored.push_back(batch); });
  std::optional<MinibatchCka> sums;
  size_t next = 0;
  visit_batches(b, data, images, columns, [&](const Tensor& batch) {
    if (!sums) sums.emplace(stored[0].size(0), batch.size(0));
    sums->add(stored[next], batch);
    stored[next++] = {};
  });
  Similarity result{sums->matrix(), rows.axis, columns.axis};
  hide_dead(result.matrix, rows.dead, columns.dead);
  return result;
}

plot::Panel panel(const Similarity& s, const std::string& title, const std::string& row_name,
                  const std::string& column_name) {
  plot::Panel result{.title = title, .x = {.label = column_name}, .y = {.label = row_name}};
  result.heatmap = plot::Heatmap{.rows = static_cast<int64_t>(s.rows.size()),
                                 .columns = static_cast<int64_t>(s.columns.size()),
                                 .values = s.matrix,
                                 .value = "CKA",
                                 .row_labels = s.rows.labels(),
                                 .column_labels = s.columns.labels(),
                                 .map = plot::ColorMap::magma,
                                 .low = 0.0,
                                 .high = 1.0,
                                 .row_groups = s.rows.stages(),
                                 .column_groups = s.columns.stages(),
                                 .origin_bottom = true};
  return result;
}

double mean_off_diagonal(const Similarity& s) {
  double total = 0, count = 0;
  for (size_t i = 0; i < s.rows.size(); ++i)
    for (size_t j = 0; j < s.columns.size(); ++j) {
      const double value = s.matrix[i * s.columns.size() + j];
      if (i == j || !std::isfinite(value)) continue;
      total += value;
      count += 1;
    }
  return count > 0 ? total / count : 0;
}

// Mean similarity of layers within one stage, and of layers of different stages.
std::pair<double, double> stage_contrast(const Similarity& s) {
  double within = 0, across = 0, n_within = 0, n_across = 0;
  for (size_t i = 0; i < s.rows.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const double value = s.matrix[i * s.columns.size() + j];
      if (!std::isfinite(value)) continue;
      const bool same = s.rows[i].height == s.rows[j].height;
      (same ? within : across) += value;
      (same ? n_within : n_across) += 1;
    }
  return {n_within > 0 ? within / n_within : 0, n_across > 0 ? across / n_across : std::nan("")};
}

std::string finding(const Similarity& s) {
  const double first_last = s.matrix[s.columns.size() - 1];
  std::string text = fmt::format("The first and the last of {} layers share {:.2f} of 1", s.rows.size(), first_last);
  const auto [within, across] = stage_contrast(s);
  if (std::isfinite(across))
    text += fmt::format("; layers of one stage agree by {:.2f} on average, layers of different stages by {:.2f}: {}",
                        within, across, within - across > 0.2 ? "the stages show as blocks" : "no clear stage blocks");
  else
    text += fmt::format("; all layers agree by {:.2f} on average: {}", within,
                        within > 0.6 ? "a nearly uniform map" : "similarity fades with distance");
  return text + ".";
}

}  // namespace

Section cka_section(const AnalysisInput& input) {
  const int64_t images = input.images_or(1024);
  Section section{.name = "cka", .title = "Similarity of layers", .order = 10};
  section.question = "Which layers represent the pictures alike, and does the network work in stages?";
  plot::Figure figure{.name = "cka", .title = "Minibatch CKA between all pairs of layers.", .columns = 2};
  std::vector<Similarity> selves;
  for (const Subject& subject : input.subjects) {
    selves.push_back(self_similarity(subject, *input.data, images));
    figure.panels.push_back(panel(selves.back(), subject.label, "layer", "layer"));
  }
  for (size_t i = 1; i < input.subjects.size(); ++i) {
    const Similarity cross = cross_similarity(input.subjects[0], input.subjects[i], *input.data, images);
    figure.panels.push_back(panel(cross, input.subjects[0].label + " × " + input.subjects[i].label,
                                  input.subjects[0].label, input.subjects[i].label));
  }
  if (figure.panels.size() == 1) figure.columns = 1;
  section.finding = finding(selves[0]);
  figure.alt = section.finding;
  section.figures.push_back(std::move(figure));
  section.reading =
      "Each cell compares two layers: 1 (bright) means that the pictures lie in the same arrangement up to rotation "
      "and scale, 0 that the arrangements are unrelated. Depth runs from the lower left to the upper right. Bright "
      "squares are groups of layers that change little; a network of stages shows one square a stage, a plain "
      "transformer one large square.";
  section.caveats = {fmt::format("Linear kernel, unbiased estimator summed over batches of {}, {} pictures; under "
                                 "independence a cell scatters by about {:.3f} around 0.",
                                 std::min(images, kBatch), images,
                                 std::sqrt(2.0) / static_cast<double>(std::min(images, kBatch)))};
  section.values = {{.key = "mean_cka", .label = "Mean CKA of two layers", .value = mean_off_diagonal(selves[0])}};
  section.arrays = {
      {.name = "cka",
       .shape = {static_cast<int64_t>(selves[0].rows.size()), static_cast<int64_t>(selves[0].rows.size())},
       .values = selves[0].matrix}};
  return section;
}

}  // namespace passband
