// Statistics of effective weights.
#include "analysis/relevance/lambda_maps.h"

#include <cmath>

#include "analysis/relevance/block_transport.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {

namespace {

// Distances between places in input pixels, (T, T).
Tensor distances(const TapSite& site, Device device) {
  const int64_t places = site.height * site.width;
  std::vector<double> apart;
  for (int64_t n = 0; n < places; ++n)
    for (int64_t m = 0; m < places; ++m) {
      const double dy = static_cast<double>(n / site.width - m / site.width);
      const double dx = static_cast<double>(n % site.width - m % site.width);
      apart.push_back(site.patch * std::sqrt(dy * dy + dx * dx));
    }
  return Tensor::from(apart, {places, places}, DType::f32, device);
}

double total(const Tensor& x) { return sum(cast(x, DType::f64)).item(); }

}  // namespace

void LambdaWeights::add(const TapSite& site, const Tensor& weights, const Tensor& content) {
  NoGrad no_grad;
  const Tensor s = cast(weights.detach(), DType::f32), keys = cast(content.detach(), DType::f32);
  const int64_t places = site.height * site.width, rows = s.numel() / places;
  CHECK(s.size(-1) == places && s.shape() == keys.shape(), "lambda maps: ", site.path,
        " has weights ", s, " and content ", keys, " on ", places, " places");
  if (!apart_.defined()) apart_ = distances(site, s.device());
  const Tensor size = abs(s), position = s - keys, own = sum(size, {-1});
  content_ += total(vecdot(keys, keys));
  position_ += total(vecdot(position, position));
  negative_ += total(sum(relu(-s), {-1}));
  absolute_ += total(own);
  distance_ += total(vecdot(size, apart_) / clamp(own, 1e-30, 1e30));
  uniform_ += total(apart_) / static_cast<double>(places * places) * static_cast<double>(rows);
  queries_ += static_cast<double>(rows);
}

double LambdaWeights::content_share() const {
  return content_ + position_ > 0 ? content_ / (content_ + position_) : 0;
}
double LambdaWeights::negative_share() const { return absolute_ > 0 ? negative_ / absolute_ : 0; }
double LambdaWeights::distance() const { return queries_ > 0 ? distance_ / queries_ : 0; }
double LambdaWeights::uniform_distance() const { return queries_ > 0 ? uniform_ / queries_ : 0; }

}  // namespace passband
