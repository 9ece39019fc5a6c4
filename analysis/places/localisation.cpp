// Localisation heat maps.
#include "analysis/places/localisation.h"

#include <algorithm>
#include <cmath>

#include "tensor/autograd/node.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// Picture patches by place: (places, n, patch pixels * 3), cut by shape operations.
Tensor patches(const Tensor& images, int64_t height, int64_t width) {
  const int64_t n = images.size(0), high = images.size(1) / height, wide = images.size(2) / width;
  const Tensor split = reshape(images, Shape{n, height, high, width, wide, 3});
  return reshape(permute(split, {1, 3, 0, 2, 4, 5}), Shape{height * width, n, high * wide * 3});
}

}  // namespace

Localisation::Localisation(const TapSite& site)
    : site_(site), sums_(site.height * site.width, site.height * site.width) {}

void Localisation::add(const Tensor& features, const Tensor& images) {
  NoGrad no_grad;
  const int64_t n = features.size(0), places = site_.height * site_.width;
  CHECK(images.size(1) % site_.height == 0 && images.size(2) % site_.width == 0,
        "localisation: a grid of ", site_.height, " x ", site_.width, " does not cut pictures ",
        images, " into equal patches");
  const Tensor tokens = permute(reshape(features, Shape{n, places, features.size(3)}), {1, 0, 2});
  const Tensor pixels = patches(images, site_.height, site_.width);
  const auto kernels = [](const Tensor& by_place) {
    return centred_kernels(linear_kernels(by_place), HsicEstimator::unbiased);
  };
  sums_.add(kernels(tokens), kernels(pixels));
}

LocalisationSummary summarise(const std::vector<double>& heatmaps, int64_t height, int64_t width) {
  const int64_t places = height * width;
  CHECK(static_cast<int64_t>(heatmaps.size()) == places * places, "localisation: ", heatmaps.size(),
        " values for ", places, " tokens and patches");
  LocalisationSummary result;
  double tokens = 0, squares = 0;
  for (int64_t t = 0; t < places; ++t) {
    const double* row = &heatmaps[static_cast<size_t>(t * places)];
    if (!std::isfinite(row[t])) continue;
    double better = 0, equal = 0, others = 0, total = 0, reach = 0, even = 0;
    for (int64_t s = 0; s < places; ++s) {
      if (!std::isfinite(row[s])) continue;
      const double dy = static_cast<double>(t / width - s / width),
                   dx = static_cast<double>(t % width - s % width);
      const double apart = std::sqrt(dy * dy + dx * dx), weight = std::max(row[s], 0.0);
      total += weight;
      reach += weight * apart;
      even += apart / static_cast<double>(places);
      if (s == t) continue;
      others += 1;
      better += row[s] > row[t];
      equal += row[s] == row[t];
    }
    const double rank = others > 0 ? (better + 0.5 * equal) / others : 0;
    result.own_rank += rank;
    squares += rank * rank;
    result.own_first += better == 0 && equal == 0;
    result.distance += total > 0 ? reach / total : even;
    result.uniform += even;
    tokens += 1;
  }
  if (tokens == 0) return result;
  for (double* value : {&result.own_rank, &result.own_first, &result.distance, &result.uniform})
    *value /= tokens;
  result.own_rank_error =
      std::sqrt(std::max(0.0, squares / tokens - result.own_rank * result.own_rank) / tokens);
  return result;
}

}  // namespace passband
