// A number for every pair of layers, of one network or of two: similarity maps and how they are
// drawn.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/depth_axis.h"

namespace passband {

struct LayerMap {
  DepthAxis rows = {}, columns = {};
  // rows x columns; NaN where a layer is dead or an index does not apply
  std::vector<double> values = {};

  double at(size_t i, size_t j) const { return values[i * columns.size() + j]; }
  // Of the first and the last layer that are not dead; NaN when fewer than two are left.
  double first_last() const;
  // Mean over pairs of different positions, NaN left out (0 when nothing is left).
  double mean_off_diagonal() const;
};

// Mean similarity of two layers within one stage (one resolution), and of layers of different
// stages; NaN where there is no such pair. For maps of a network with itself.
struct StageContrast {
  double within = 0, across = 0;
};
StageContrast stage_contrast(const LayerMap& map);

// Kornblith's check of an index (ICML 2019, table 2), for two networks of one architecture: the
// share of layers whose most similar layer in the other network is the one at the same place, in
// both directions. NaN when the numbers of layers differ.
double corresponding_share(const LayerMap& map);

// NaN in the rows and columns of dead layers.
void hide_dead(LayerMap& map, const std::vector<bool>& rows, const std::vector<bool>& columns);

// The map with depth from the lower left to the upper right, stages separated; values shown from 0
// to 1 unless `high` is 0 (then from the data). `value` names a cell's number ("CKA").
plot::Panel map_panel(const LayerMap& map, const std::string& title, const std::string& row_name,
                      const std::string& column_name, const std::string& value, double high = 1);

}  // namespace passband
