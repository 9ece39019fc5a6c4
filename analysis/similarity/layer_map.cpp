#include "analysis/similarity/layer_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace passband {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Mean {
  double sum = 0, count = 0;
  void add(double value) {
    if (!std::isfinite(value)) return;
    sum += value;
    count += 1;
  }
  double value(double otherwise) const { return count > 0 ? sum / count : otherwise; }
};

}  // namespace

double LayerMap::first_last() const {
  const size_t n = std::min(rows.size(), columns.size());
  size_t first = 0, last = n;
  while (first < n && !std::isfinite(at(first, first))) ++first;
  while (last > first + 1 && !std::isfinite(at(last - 1, last - 1))) --last;
  return first + 1 < last ? at(first, last - 1) : kNone;
}

double LayerMap::mean_off_diagonal() const {
  Mean mean;
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < columns.size(); ++j)
      if (i != j) mean.add(at(i, j));
  return mean.value(0);
}

StageContrast stage_contrast(const LayerMap& map) {
  Mean within, across;
  for (size_t i = 0; i < map.rows.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      (map.rows.block_of(i).height == map.rows.block_of(j).height ? within : across)
          .add(map.at(i, j));
  return {within.value(kNone), across.value(kNone)};
}

double corresponding_share(const LayerMap& map) {
  const size_t n = map.rows.size();
  if (n != map.columns.size() || n == 0) return kNone;
  double found = 0;
  for (size_t i = 0; i < n; ++i) {
    bool best_in_row = true, best_in_column = true;
    for (size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      best_in_row = best_in_row && !(map.at(i, j) >= map.at(i, i));
      best_in_column = best_in_column && !(map.at(j, i) >= map.at(i, i));
    }
    if (!std::isfinite(map.at(i, i))) continue;
    found += best_in_row + best_in_column;
  }
  return found / static_cast<double>(2 * n);
}

void hide_dead(LayerMap& map, const std::vector<bool>& rows, const std::vector<bool>& columns) {
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < columns.size(); ++j)
      if (rows[i] || columns[j]) map.values[i * columns.size() + j] = kNone;
}

plot::Panel map_panel(const LayerMap& map, const std::string& title, const std::string& row_name,
                      const std::string& column_name, const std::string& value, double high) {
  plot::Panel panel{.title = title, .x = {.label = column_name}, .y = {.label = row_name}};
  panel.heatmap = plot::Heatmap{.rows = static_cast<int64_t>(map.rows.size()),
                                .columns = static_cast<int64_t>(map.columns.size()),
                                .values = map.values,
                                .value = value,
                                .row_labels = map.rows.labels(),
                                .column_labels = map.columns.labels(),
                                .map = plot::ColorMap::magma,
                                .row_groups = map.rows.groups(),
                                .column_groups = map.columns.groups(),
                                .origin_bottom = true};
  if (high > 0) {
    panel.heatmap->low = 0;
    panel.heatmap->high = high;
  }
  return panel;
}

}  // namespace passband
