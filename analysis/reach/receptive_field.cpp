#include "analysis/reach/receptive_field.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/study/finite.h"
#include "analysis/study/frozen_parameters.h"
#include "analysis/study/host.h"
#include "analysis/study/picture_batch.h"
#include "nn/context.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/random.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {
namespace {

struct Tapped {
  TapSite site;
  Tensor buffer;  // in the graph
};

std::vector<Tapped> forward(const Model& model, const Tensor& images, const std::string& name) {
  ContextGuard mode({.training = false, .compute = DType::f32});
  std::vector<Tapped> layers;
  const ProbeGuard probe({name}, [&](const TapSite& site, const Tensor& buffer) {
    layers.push_back({site, buffer});
    return buffer;
  });
  finite_logits(model, images);
  return layers;
}

// Position of the centre in a buffer seen as (N, positions, C).
struct Centre {
  int64_t row, column, position, positions, channels;

  Centre(const TapSite& site, const Tensor& buffer)
      : row(site.height / 2),
        column(site.width / 2),
        position(site.prefix + row * site.width + column),
        positions(site.prefix + site.height * site.width),
        channels(buffer.size(-1)) {}
};

// A gradient for the buffer that is zero but at the centre of every picture.
template <class F> Tensor seed_at(const Centre& centre, const Tensor& buffer, F&& value) {
  Tensor seed = Tensor::zeros(buffer.shape());
  for (int64_t n = 0; n < buffer.size(0); ++n) {
    float* out = seed.data<float>() + (n * centre.positions + centre.position) * centre.channels;
    for (int64_t c = 0; c < centre.channels; ++c) out[c] = value(n, c);
  }
  return seed.to(buffer.device());
}

void add_map(std::vector<double>& sums, const Tensor& map, double scale) {
  const std::vector<double> values = map.values();
  sums.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) sums[i] += scale * values[i];
}

class FieldMeasurement {
 public:
  FieldMeasurement(const FieldOptions& options, ReceptiveFields& result)
      : options_(options), result_(result) {}

  // Adds one batch of pictures to one layer's sums.
  void add(const Tapped& layer, const Tensor& images, uint64_t first_picture) {
    const size_t i = result_.axis.index_of(layer.site);
    result_.fields.resize(result_.axis.size());
    ReceptiveField& field = result_.fields[i];
    const Centre centre(layer.site, layer.buffer);
    describe(field, layer.site, centre, images);
    const bool exact = options_.estimator == FieldEstimator::exact;
    const bool script = options_.estimator == FieldEstimator::replknet;
    const int64_t passes = exact ? centre.channels : script ? 1 : options_.draws;
    for (int64_t pass = 0; pass < passes; ++pass) {
      Tensor seed = script  ? active_channels(centre, layer.buffer)
                    : exact ? one_channel(centre, layer.buffer, pass)
                            : signs(centre, layer, first_picture, pass);
      const Tensor jacobian = grad(layer.buffer, {images}, {.seed = seed, .retain_graph = true})[0];
      NoGrad no_grad;
      const double scale = 1 / static_cast<double>(exact ? passes : passes * centre.channels);
      if (!script) add_map(field.energy, sum(square(jacobian), {0, 3}), scale);
      if (exact) add_map(field.absolute, sum(abs(jacobian), {0, 3}), scale);
      if (script) add_map(field.absolute, sum(relu(jacobian), {0, 3}), 1);
    }
  }

 private:
  static Tensor one_channel(const Centre& centre, const Tensor& buffer, int64_t channel) {
    return seed_at(centre, buffer, [&](int64_t, int64_t c) { return c == channel ? 1.0f : 0.0f; });
  }

  static Tensor active_channels(const Centre& centre, const Tensor& buffer) {
    const Tensor values = on_host(buffer);
    const float* z = values.data<float>();
    return seed_at(centre, buffer, [&](int64_t n, int64_t c) {
      return z[(n * centre.positions + centre.position) * centre.channels + c] > 0 ? 1.0f : 0.0f;
    });
  }

  Tensor signs(const Centre& centre, const Tapped& layer, uint64_t first_picture,
               int64_t draw) const {
    const RandomKey key{options_.seed, static_cast<uint64_t>(draw), site_of(layer.site.path)};
    const auto channels = static_cast<uint64_t>(centre.channels);
    return seed_at(centre, layer.buffer, [&](int64_t n, int64_t c) {
      const uint64_t at = (first_picture + static_cast<uint64_t>(n)) * channels;
      return random_uniform(key, at + static_cast<uint64_t>(c)) < 0.5f ? -1.0f : 1.0f;
    });
  }

  static void describe(ReceptiveField& field, const TapSite& site, const Centre& centre,
                       const Tensor& images) {
    field.height = images.size(1);
    field.width = images.size(2);
    field.patch = site.patch;
    field.centre_y = (static_cast<double>(centre.row) + 0.5) * site.patch - 0.5;
    field.centre_x = (static_cast<double>(centre.column) + 0.5) * site.patch - 0.5;
  }

  FieldOptions options_;
  ReceptiveFields& result_;
};

}  // namespace

std::vector<double> ReceptiveField::field() const {
  std::vector<double> map = energy;
  for (double& value : map) value = std::sqrt(value);
  return map;
}

std::string_view name_of(FieldTap tap) { return tap == FieldTap::branch ? "branch" : "out"; }

ReceptiveFields measure_fields(const Model& model, const Dataset& data,
                               const FieldOptions& options) {
  ReceptiveFields result;
  FieldMeasurement measurement(options, result);
  const FrozenParameters frozen(model.store());
  const std::vector<int64_t> indices = spread_indices(data.count, options.images);
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t first = 0; first < total; first += options.batch_size) {
    const int64_t size = std::min(options.batch_size, total - first);
    const auto begin = indices.begin() + first;
    const PictureBatch batch = load_batch(model, data, {begin, begin + size});
    const Tensor images = batch.images.leaf();
    const std::vector<Tapped> layers = forward(model, images, std::string(name_of(options.tap)));
    const auto count = static_cast<int64_t>(layers.size());
    for (int64_t i = 0; i < count; ++i) {
      measurement.add(layers[static_cast<size_t>(i)], images, static_cast<uint64_t>(first));
      options.progress(first * count + size * (i + 1), total * count, "pictures");
    }
  }
  for (size_t i = 0; i < result.fields.size(); ++i)
    for (std::vector<double>* map : {&result.fields[i].energy, &result.fields[i].absolute}) {
      for (double& value : *map) value /= static_cast<double>(total);
      check_finite(model, *map, "the gradients of its " + result.axis[i].path);
    }
  return result;
}

double field_width(const std::vector<double>& map, int64_t height, int64_t width) {
  double total = 0, y1 = 0, y2 = 0, x1 = 0, x2 = 0;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const double m = map[static_cast<size_t>(y * width + x)], fy = static_cast<double>(y),
                   fx = static_cast<double>(x);
      total += m;
      y1 += m * fy;
      y2 += m * fy * fy;
      x1 += m * fx;
      x2 += m * fx * fx;
    }
  }
  if (total <= 0) return 0;
  const double variance_y = y2 / total - y1 * y1 / (total * total),
               variance_x = x2 / total - x1 * x1 / (total * total);
  return std::sqrt(std::max(0.0, 0.5 * (variance_y + variance_x)));
}

int64_t pixels_above(const std::vector<double>& map, double share) {
  const double floor = share * *std::ranges::max_element(map);
  return std::ranges::count_if(map, [&](double value) { return value > floor; });
}

double area_ratio(const std::vector<double>& map, int64_t height, int64_t width, double y, double x,
                  double share) {
  const double total = std::accumulate(map.begin(), map.end(), 0.0),
               side = static_cast<double>(std::min(height, width));
  // Squares grow by whole pixels from the one that the centre lies in (a corner of four, between
  // pixels).
  for (double reach = std::abs(y - std::floor(y)); 2 * reach + 1 < side; reach += 1) {
    double inside = 0;
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j)
        if (std::max(std::abs(static_cast<double>(i) - y), std::abs(static_cast<double>(j) - x)) <=
            reach + 1e-9)
          inside += map[static_cast<size_t>(i * width + j)];
    if (inside > share * total) return (2 * reach + 1) * (2 * reach + 1) / (side * side);
  }
  return 1;
}

std::vector<double> log_map(const std::vector<double>& map) {
  std::vector<double> result = map;
  for (double& value : result) value = std::log10(1 + value);
  return result;
}

double own_share(const std::vector<double>& map, const ReceptiveField& field) {
  const double total = std::accumulate(map.begin(), map.end(), 0.0), half = 0.5 * field.patch;
  double own = 0;
  for (int64_t y = 0; y < field.height; ++y)
    for (int64_t x = 0; x < field.width; ++x)
      if (std::abs(static_cast<double>(y) - field.centre_y) < half &&
          std::abs(static_cast<double>(x) - field.centre_x) < half)
        own += map[static_cast<size_t>(y * field.width + x)];
  return total > 0 ? own / total : 0;
}

}  // namespace passband
