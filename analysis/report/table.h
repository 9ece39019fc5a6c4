// The data behind a figure as a table: tidy for files, pivoted and rounded for readers.
#pragma once
#include <string>
#include <vector>

#include "analysis/report/figure.h"

namespace passband::plot {

struct Table {
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
};

// One row per value, every digit: (panel,) series, x, y (, low, high); heatmaps (panel,) row,
// column, value; picture grids row, column, caption, and for every place of a
// map its row, column and value.
Table tidy_table(const Figure& figure);

// The same numbers for a reader: one column per series where the series share their x, a matrix for
// heatmaps up to 16 columns wide, else the tidy table; four significant digits.
Table display_table(const Figure& figure);

// RFC 4180: CRLF line ends, fields with comma, quote or line break quoted, quotes doubled.
std::string to_csv(const Table& table);

// "label (unit)".
std::string axis_title(const Axis& axis);

}  // namespace passband::plot
