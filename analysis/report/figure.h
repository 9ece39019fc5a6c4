// The figure model: what a figure shows, in data units. Writers turn it into SVG, CSV and hover
// data. A figure is a row-major grid of panels (small multiples), or a grid of pictures. Everything
// is plain numbers and text.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace passband::plot {

enum class Scale { linear, log10 };

// viridis and magma: sequential; diverging: blue below, red above the middle of the range; tint:
// paper to the accent colour, which follows the light or dark theme (tables of counts and shares).
enum class ColorMap { viridis, magma, diverging, tint };

// What a shaded stretch of depth is made of. Each kind has one colour in every figure of a report.
enum class Kind { attention, convolution, lambda, mlp, subsampling, other };

struct Axis {
  std::string label = {};
  std::string unit = {};  // shown as "label (unit)"
  Scale scale = Scale::linear;
  std::optional<double> low = {}, high = {};  // data units; from the data when absent
  // when given, position i (0, 1, ...) is labelled categories[i]
  std::vector<std::string> categories = {};
  bool from_zero = false;  // the range taken from the data includes zero
};

// y against x, joined. A gap where y is not finite. `low` and `high` draw an error band (same
// length as y, or empty).
struct Line {
  std::string name = {};
  std::vector<double> x = {}, y = {};
  std::vector<double> low = {}, high = {};
  // 0..1: coloured by Figure::shade, not by series (curves ordered by depth)
  std::optional<double> shade = {};
  int style = -1;      // series colour, dash and marker; -1: position among the panel's series
  bool fill = false;   // area down to zero (densities, histograms)
  bool faint = false;  // thin and pale: one seed among several, background curves
};

// Points that are not joined. `labels` name single points on the figure and on hover (same length
// as x, or empty).
struct Points {
  std::string name = {};
  std::vector<double> x = {}, y = {};
  std::vector<double> low = {}, high = {};  // vertical intervals
  std::vector<std::string> labels = {};
  int style = -1;
  bool label_points = false;  // write the labels beside the points, not only on hover
};

// Bars from zero at centres x. Several Bars in one panel with equal x stand side by side.
struct Bars {
  std::string name = {};
  std::vector<double> x = {}, y = {};
  std::vector<double> low = {}, high = {};  // intervals, for instance from `wilson`
  double width = 0;                         // data units; 0: 80 % of the spacing
  int style = -1;
  std::vector<Kind> kinds = {};  // colours single bars by kind (same length as x, or empty)
};

// rows x columns values, row-major. Not finite = no value (a dead layer), drawn hatched. The
// SVG holds one PNG with a pixel a cell, except where numbers stand in the cells or the colours
// follow the theme, and these are few.
struct Heatmap {
  int64_t rows = 0, columns = 0;
  std::vector<double> values = {};
  std::string value = {};  // what a cell holds: "CKA", with unit
  std::vector<std::string> row_labels = {}, column_labels = {};
  ColorMap map = ColorMap::viridis;
  std::optional<double> low = {}, high = {};
  struct Group {
    std::string label = {};
    int64_t begin = 0, end = 0;  // [begin, end)
  };
  // stages: separators, labels outside the axes
  std::vector<Group> row_groups = {}, column_groups = {};
  bool origin_bottom = false;  // row 0 at the bottom (layer x layer maps)
  bool show_values = false;    // numbers in the cells, when they fit
  int decimals = 2;            // of those numbers
};

// A function on a plane as filled levels: values[row * x.size() + column] at (x[column], y[row]),
// both axes ascending. Not finite = no value, left blank.
struct Contour {
  std::vector<double> x = {}, y = {}, values = {};
  std::string value = {};  // what is drawn: "loss"
  // boundaries of the levels, ascending; chosen from the data when empty
  std::vector<double> levels = {};
  ColorMap map = ColorMap::viridis;  // the colour follows the rank of a level, not its number
};

// A shaded stretch of the x axis.
struct Span {
  double begin = 0, end = 0;
  Kind kind = Kind::other;
  std::string label = {};  // legend text; empty: the kind's own name ("MSA", "Conv", ...)
};

// A labelled reference: y = at, x = at, or the diagonal y = x.
struct Reference {
  enum class Along { horizontal, vertical, diagonal } along = Along::horizontal;
  double at = 0;
  std::string label = {};
};

struct Panel {
  std::string title = {};
  Axis x = {}, y = {};
  std::vector<Span> spans = {};
  std::vector<Line> lines = {};
  std::vector<Points> points = {};
  std::vector<Bars> bars = {};
  std::vector<Reference> references = {};
  std::optional<Heatmap> heatmap = {};
  std::optional<Contour> contour = {};
  // of the plot area in pixels at full width; 0: chosen from the number of panels
  double height = 0;
};

inline constexpr double kOverlayOpacity = 0.75;  // of a map where it is largest

// An RGB picture, drawn with crisp pixels, or in grey under a heat overlay of its own resolution,
// which is drawn smoothly from 0 to its largest value: a flat map looks flat. Values below 0 count
// as 0. An outline goes around the quarter of places where the overlay is largest.
struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb = {};  // height * width * 3
  std::string caption = {};
  std::string alt = {};
  int64_t overlay_width = 0, overlay_height = 0;
  std::vector<double> overlay = {};
  bool wrong = false;  // the network names another class than the picture has: marked
};

struct Pictures {
  int columns = 4;
  // columns mean something (input, layer 1, layer 2): narrow screens keep them in one row
  bool fixed_columns = false;
  std::vector<std::string> column_titles = {}, row_titles = {};
  std::vector<Picture> cells = {};  // row-major
  ColorMap map = ColorMap::magma;   // of the overlays
  std::string overlay_value = {};   // what the overlay shows: "share of attention"
};

// What Line::shade means, for the colour key: "block", "first", "last".
struct Shade {
  std::string label = {}, low = {}, high = {};
  ColorMap map = ColorMap::viridis;
};

struct Figure {
  std::string name = {};   // file name stem: a-z 0-9 - _
  std::string title = {};  // caption, one sentence
  std::string alt = {};    // what a reader who cannot see it should know, made from the numbers
  std::vector<Panel> panels = {};
  int columns = 1;
  Pictures pictures = {};
  Shade shade = {};
  // name curves at their right end where there is room, instead of in a legend
  bool direct_labels = true;
  bool share_axes = true;  // panels whose axes have the same label take one common range
};

// Checks lengths and ranges; throws Error naming the figure and the culprit.
void check(const Figure& figure);

// The Wilson score interval for a share of `successes` among `n` (Wilson 1927); {0, 1} for n = 0. z
// = 1.96 is 95 %.
struct Interval {
  double low = 0, high = 1;
};
Interval wilson(double successes, double n, double z = 1.959963984540054);

// One bin of a reliability diagram: n predictions of mean confidence `confidence`, `correct` of
// them right.
struct ReliabilityBin {
  double low = 0, high = 0;
  double confidence = 0;
  int64_t n = 0, correct = 0;
};

// Accuracy against confidence with 95 % Wilson intervals and the diagonal of perfect calibration;
// below it the share of predictions in each bin.
Figure reliability_figure(std::string name, std::string title,
                          const std::vector<ReliabilityBin>& bins);

// counts[true * classes + predicted], shown as shares of each true class.
Figure confusion_figure(std::string name, std::string title,
                        const std::vector<std::string>& classes,
                        const std::vector<int64_t>& counts);

}  // namespace passband::plot
