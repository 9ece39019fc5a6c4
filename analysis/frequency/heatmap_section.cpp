#include "analysis/frequency/heatmap_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/frequency/frequency_noise.h"
#include "analysis/study/picture_batch.h"
#include "analysis/study/picture_maps.h"
#include "analysis/study/verdict.h"
#include "analysis/study/wording.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

constexpr int64_t kHeatmapBatch = 250;

// Frequencies (u, v) on a square grid around zero; (-u, -v) is the same picture and shares its
// value.
struct FrequencyGrid {
  int64_t reach = 0;  // largest |u| in steps
  int64_t step = 1;
  int64_t side() const { return 2 * reach + 1; }
  size_t at(int64_t row, int64_t column) const {
    return static_cast<size_t>(row * side() + column);
  }
};

FrequencyGrid grid_for(const HeatmapOptions& options, int64_t image_side) {
  FrequencyGrid grid{.step = std::max<int64_t>(1, options.step)};
  const int64_t wanted = options.reach;
  grid.reach = (wanted > 0 ? std::min(wanted, image_side / 2) : image_side / 2) / grid.step;
  return grid;
}

// The published norms: 4.0 on 32 x 32, 15.7 on 224 x 224; the same per pixel between.
double standard_norm(int64_t side) {
  return side <= 64 ? 4.0 * static_cast<double>(side) / 32 : 15.7 * static_cast<double>(side) / 224;
}

// r U with r = -1 or 1 for each picture and channel: (N, H, W, 3).
Tensor flipped(const Tensor& basis, const std::vector<int64_t>& indices, double norm,
               uint64_t frequency) {
  const auto count = static_cast<int64_t>(indices.size());
  std::vector<double> signs;
  for (const int64_t index : indices)
    for (uint64_t c = 0; c < 3; ++c) {
      const RandomKey key{0, frequency, site_of("analysis.heatmap")};
      signs.push_back(random_uniform(key, static_cast<uint64_t>(index) * 3 + c) < 0.5f ? -norm
                                                                                       : norm);
    }
  return Tensor::from(signs, {count, 1, 1, 3}) * basis;
}

struct HeatmapResult {
  FrequencyGrid grid;
  std::vector<double> error;  // %, rows v from -reach to reach, columns u
  double clean = 0;           // %
};

HeatmapResult measure_heatmap(const Model& model, const Dataset& data,
                              const std::vector<int64_t>& all, const FrequencyGrid& grid,
                              double norm, const Progress& progress) {
  const int64_t side = model.options().image_size;
  HeatmapResult result{.grid = grid};
  const int64_t cells = grid.side() * grid.side(), half = cells / 2 + 1;
  const auto total = static_cast<int64_t>(all.size());
  std::vector<int64_t> wrong(static_cast<size_t>(half));
  int64_t wrong_clean = 0;
  const OwnPart part(total);
  part.run_batches({&model}, kHeatmapBatch, [&](int64_t first, int64_t size) {
    const PictureBatch batch =
        load_batch(model, data, {all.begin() + first, all.begin() + first + size});
    wrong_clean += size - count_correct(model, batch, batch.images);
    for (int64_t cell = 0; cell < half; ++cell) {
      const int64_t v = (cell / grid.side() - grid.reach) * grid.step,
                    u = (cell % grid.side() - grid.reach) * grid.step;
      const Tensor basis = reshape(fourier_basis(v, u, side, side), Shape{1, side, side, 1});
      const Tensor wave =
          flipped(basis, batch.indices, norm, static_cast<uint64_t>(cell)).to(model.device());
      wrong[static_cast<size_t>(cell)] +=
          size - count_correct(model, batch, add_clipped(data, batch.images, wave));
      progress((first - part.begin) * half + size * (cell + 1), (part.end - part.begin) * half,
               "pictures");
    }
  });
  part.join(wrong);
  part.join(wrong_clean);
  const double percent = 100 / static_cast<double>(total);
  result.clean = percent * static_cast<double>(wrong_clean);
  result.error.resize(static_cast<size_t>(cells));
  for (size_t cell = 0; cell < wrong.size(); ++cell)
    result.error[cell] = result.error[static_cast<size_t>(cells) - 1 - cell] =
        percent * static_cast<double>(wrong[cell]);
  return result;
}

// NaN where the measured waves have none of a third.
struct Thirds {
  double low, middle, high;
};

// Mean error over the frequencies whose larger component lies in [low, high) of the Nyquist
// frequency.
double mean_error(const HeatmapResult& result, int64_t side, double low, double high) {
  double total = 0, count = 0;
  const FrequencyGrid& grid = result.grid;
  for (int64_t i = 0; i < grid.side(); ++i) {
    for (int64_t j = 0; j < grid.side(); ++j) {
      const int64_t larger =
          std::max(std::abs(i - grid.reach), std::abs(j - grid.reach)) * grid.step;
      const double omega = 2 * static_cast<double>(larger) / static_cast<double>(side);
      if (omega < low || omega >= high) continue;
      total += result.error[grid.at(i, j)];
      count += 1;
    }
  }
  return count > 0 ? total / count : std::nan("");
}

Thirds thirds(const HeatmapResult& result, int64_t side) {
  return {mean_error(result, side, 0, 1 / 3.0), mean_error(result, side, 1 / 3.0, 2 / 3.0),
          mean_error(result, side, 2 / 3.0, 1.01)};
}

// All waves are laid over the same pictures: the intervals are those of so many.
std::string finding(const std::string& label, const Thirds& t, double clean, int64_t pictures) {
  std::vector<Named> thirds;
  std::string errors;
  const auto n = static_cast<double>(pictures);
  for (const auto& [name, value] :
       {std::pair{"low", t.low}, std::pair{"middle", t.middle}, std::pair{"high", t.high}}) {
    if (!std::isfinite(value)) continue;
    thirds.push_back({name, share_of(value / 100 * n, n)});
    errors += fmt::format("{}{:.0f} % under {}", errors.empty() ? "" : ", ", value, name);
  }
  const Ends ends = ends_of(thirds);
  return fmt::format("{} errs on {} frequencies (clean: {:.0f} %): {}.", label, errors, clean,
                     ends.differ ? fmt::format("{} frequencies hurt it more than {} ones",
                                               thirds[ends.most].name, thirds[ends.least].name)
                                 : "no difference within the counting error");
}

void add_values(const Thirds& t, const std::string& subject, std::vector<ReportValue>& values) {
  const auto add = [&](const char* key, const char* label, double value) {
    if (std::isfinite(value))
      values.push_back({.key = key, .label = label, .value = value, .subject = subject});
  };
  add("low_frequency_error", "Error, low third", t.low);
  add("middle_frequency_error", "Error, middle third", t.middle);
  add("high_frequency_error", "Error, high third", t.high);
}

plot::Panel heatmap_panel(const std::string& title, const HeatmapResult& result) {
  plot::Panel panel{
      .title = title, .x = {.label = "horizontal frequency"}, .y = {.label = "vertical frequency"}};
  const FrequencyGrid& grid = result.grid;
  std::vector<std::string> labels;
  for (int64_t i = -grid.reach; i <= grid.reach; ++i)
    labels.push_back(std::to_string(i * grid.step));
  panel.heatmap = plot::Heatmap{.rows = grid.side(),
                                .columns = grid.side(),
                                .values = result.error,
                                .value = "error (%)",
                                .row_labels = labels,
                                .column_labels = labels,
                                .map = plot::ColorMap::magma,
                                .low = 0,
                                .high = 100,
                                .origin_bottom = true};
  return panel;
}

}  // namespace

double heatmap_waves(const HeatmapOptions& options, int64_t image_side) {
  const auto side = static_cast<double>(grid_for(options, image_side).side());
  return (side * side + 1) / 2;
}

Section heatmap_section(const AnalysisInput& input, const HeatmapOptions& options) {
  const int64_t images = input.pictures(options.images);
  Section section;
  plot::Figure figure{
      .name = "heatmap",
      .title = "Error on pictures with one wave added, for each of its frequencies.",
      .columns = 2};
  double norm = 0;
  for (size_t s = 0; s < input.subjects.size(); ++s) {
    const Subject& subject = input.subjects[s];
    const int64_t side = subject.model->options().image_size;
    norm = options.norm > 0 ? options.norm : standard_norm(side);
    const Progress part = input.part_of(s);
    const HeatmapResult result =
        measure_heatmap(*subject.model, *input.data, spread_indices(input.data->count, images),
                        grid_for(options, side), norm, part);
    const Thirds t = thirds(result, side);
    section.finding += (s > 0 ? " " : "") + finding(subject.label, t, result.clean, images);
    add_values(t, subject.label, section.values);
    section.arrays.push_back({.name = figure_name("heatmap", s),
                              .shape = {result.grid.side(), result.grid.side()},
                              .values = result.error});
    figure.panels.push_back(heatmap_panel(subject.label, result));
  }
  section.reading =
      "The centre is a wave as long as the picture (in the very centre a shift of brightness), the "
      "border the finest stripes. "
      "Bright cells are waves that make the network err. Networks trained with plain augmentation "
      "are dark at the centre and "
      "bright around it; noise-trained ones the other way round.";
  section.caveats = {fmt::format(
      "{} for each wave. A wave has L2 norm {:.1f} per channel in units of the pixel "
      "range, a random sign per picture and channel, and the sum is clipped to valid pixels. "
      "Measured in steps of {} frequencies; (u, v) and (-u, -v) are the same wave.",
      counted(images, "test picture"), norm, options.step)};
  if (figure.panels.size() == 1) figure.columns = 1;
  figure.alt = section.finding;
  section.figures = {std::move(figure)};
  return section;
}

}  // namespace passband
