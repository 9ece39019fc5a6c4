// Interpolation: the weights of an axis as a band of a matrix, and its application along one
// dimension, whose adjoint is the transposed band.
#include "tensor/ops/interpolate.h"

#include <cmath>
#include <memory>

#include "tensor/core/device.h"
#include "tensor/ops/interpolate_kernels.h"

namespace passband {
namespace {

// A row of the matrix: weights of the inputs first, first + 1, ...
struct BandRow {
  int64_t first = 0;
  std::vector<double> weights;

  // Adds `weight` to input `at`, which is the last one or the next.
  void add(int64_t at, double weight) {
    if (weights.empty()) first = at;
    weights.resize(std::max(weights.size(), static_cast<size_t>(at - first + 1)));
    weights[static_cast<size_t>(at - first)] += weight;
  }
};

// A matrix (rows, inputs) of which each row has one run of weights.
struct Band {
  int64_t inputs = 0;
  std::vector<BandRow> rows;

  int64_t width() const {
    size_t most = 1;
    for (const BandRow& row : rows) most = std::max(most, row.weights.size());
    return static_cast<int64_t>(most);
  }
  Band transposed() const {
    Band result{static_cast<int64_t>(rows.size()),
                std::vector<BandRow>(static_cast<size_t>(inputs))};
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t k = 0; k < rows[i].weights.size(); ++k)
        result.rows[static_cast<size_t>(rows[i].first) + k].add(static_cast<int64_t>(i),
                                                                rows[i].weights[k]);
    return result;
  }
};

// Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 15.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// The pixels around the centre; outside the image the edge counts in their place.
BandRow plain_row(double centre, int64_t inputs, Interpolation mode) {
  const bool is_cubic = mode == Interpolation::bicubic;
  const auto base = static_cast<int64_t>(std::floor(centre));
  BandRow row;
  for (int64_t at = base - (is_cubic ? 1 : 0); at <= base + (is_cubic ? 2 : 1); ++at) {
    const double x = centre - static_cast<double>(at);
    row.add(std::clamp<int64_t>(at, 0, inputs - 1), is_cubic ? cubic(x, -0.75) : triangle(x));
  }
  return row;
}

// The kernel stretched by `scale`, at least 1, around a centre that counts from the left edge.
BandRow antialiased_row(double centre, int64_t inputs, double scale, Interpolation mode) {
  const bool is_cubic = mode == Interpolation::bicubic;
  const double support = (is_cubic ? 2 : 1) * scale;
  const auto begin = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0),
             end = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), inputs);
  BandRow row;
  double total = 0;
  for (int64_t at = begin; at < end; ++at) {
    const double x = (static_cast<double>(at) - centre + 0.5) / scale;
    const double weight = is_cubic ? cubic(x, -0.5) : triangle(x);
    row.add(at, weight);
    total += weight;
  }
  for (double& weight : row.weights) weight /= total;
  return row;
}

Band band_for(int64_t inputs, int64_t outputs, const InterpolateOptions& o) {
  const double scale = static_cast<double>(inputs) / static_cast<double>(outputs);
  Band band{inputs, {}};
  for (int64_t i = 0; i < outputs; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    BandRow row;
    if (o.mode == Interpolation::nearest) row.add(i * inputs / outputs, 1);
    else if (o.antialias) row = antialiased_row(centre, inputs, std::max(scale, 1.0), o.mode);
    else row = plain_row(centre - 0.5, inputs, o.mode);
    band.rows.push_back(std::move(row));
  }
  return band;
}

struct Tables {
  Tensor start, weights;
};

// For the kernels every row has the same width and lies inside the inputs.
Tables tables_of(const Band& band, const Tensor& x) {
  const int64_t width = band.width(), outputs = static_cast<int64_t>(band.rows.size());
  std::vector<double> start, weights(static_cast<size_t>(outputs * width));
  for (int64_t i = 0; i < outputs; ++i) {
    const BandRow& row = band.rows[static_cast<size_t>(i)];
    const int64_t first = std::min(row.first, band.inputs - width);
    start.push_back(static_cast<double>(first));
    std::ranges::copy(row.weights, weights.begin() + i * width + row.first - first);
  }
  const DType type = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  return {Tensor::from(start, {outputs}, DType::i32).to(x.device()),
          Tensor::from(weights, {outputs, width}, type).to(x.device())};
}

// y = band x along `dim`;   dx = band^T dy
struct ApplyBand {
  static constexpr auto name = "interpolate";
  static constexpr auto saves = Save::none;
  std::shared_ptr<const Band> band;
  int dim;

  Tensor forward(const Tensor& x) const {
    const auto outputs = static_cast<int64_t>(band->rows.size());
    Tensor y = Tensor::empty(x.shape().with(dim, outputs), x.dtype(), x.device());
    const BandShape shape{x.shape().outer(dim), x.size(dim), outputs, x.shape().inner(dim),
                          band->width()};
    const auto [start, weights] = tables_of(*band, x);
    DISPATCH(x.device(), apply_band, y, x, start, weights, shape);
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const {
    return {apply(ApplyBand{std::make_shared<const Band>(band->transposed()), dim}, dy)};
  }
};

Tensor resized(const Tensor& x, int dim, int64_t size, const InterpolateOptions& options) {
  if (x.size(dim) == size) return x;
  return apply(ApplyBand{std::make_shared<const Band>(band_for(x.size(dim), size, options)), dim},
               x);
}

}  // namespace

Tensor interpolate(const Tensor& x, PerAxis size, const InterpolateOptions& options) {
  CHECK(x.defined() && x.rank() == 4 && is_floating(x.dtype()),
        "interpolate: x is f32, bf16 or f64 (N, H, W, C), not ", x);
  CHECK(size.least() >= 1 && x.size(1) >= 1 && x.size(2) >= 1, "interpolate: can not make ",
        size.height, "x", size.width, " pixels of x ", x);
  CHECK(!options.antialias || options.mode != Interpolation::nearest,
        "interpolate: nearest has no antialiasing; choose bilinear or bicubic for x ", x);
  // The axis that shrinks more goes first: the second has less to do.
  const bool rows_first = size.height * x.size(2) <= size.width * x.size(1);
  const Tensor first =
      rows_first ? resized(x, 1, size.height, options) : resized(x, 2, size.width, options);
  return rows_first ? resized(first, 2, size.width, options)
                    : resized(first, 1, size.height, options);
}

}  // namespace passband
