// Level sets of a function given on a grid.
#pragma once
#include <vector>

#include "analysis/report/figure.h"

namespace passband::plot {

struct PlanePoint {
  double x = 0, y = 0;
};
using Loop = std::vector<PlanePoint>;  // closed: the last point leads to the first

// The outline of {value >= level}: marching squares with linear interpolation, saddles decided by
// the mean of the cell's corners. Loops close along the border of the grid and around nodes without
// a value; filled by the even-odd rule they are the region. Time and memory: one pass over the
// grid.
std::vector<Loop> level_loops(const Contour& contour, double level);

// The boundaries between filled levels: the given ones, or about ten nice ones within the data (a
// geometric sequence when the data are positive and span more than a factor of 20).
std::vector<double> levels_of(const Contour& contour);

// About ten nice numbers within (low, high).
std::vector<double> levels_between(double low, double high);

// The lowest and the highest finite value; {0, 1} without any.
Interval value_range(const Contour& contour);

// The same numbers as a heatmap whose labels are the coordinates, for tables.
Heatmap as_heatmap(const Contour& contour);

}  // namespace passband::plot
