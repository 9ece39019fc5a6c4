// Statistics of effective weights, and contributions by gradients.
#include "analysis/lambda_maps.h"

#include <cmath>

#include "analysis/frozen_parameters.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/shape.h"

namespace passband {

void LambdaWeights::add(const TapSite& site, const Tensor& weights, const Tensor& content) {
  const Tensor all = cast(weights.detach(), DType::f32), keys = cast(content.detach(), DType::f32);
  const int64_t places = site.height * site.width, rows = all.numel() / places;
  CHECK(all.size(-1) == places && all.shape() == keys.shape(), "lambda maps: ", site.path,
        " has weights ", all, " and content ", keys, " on ", places, " places");
  const float *s = all.data<float>(), *c = keys.data<float>();
  double content_sum = 0, position_sum = 0, negative = 0, absolute = 0, distance = 0, uniform = 0;
#pragma omp parallel for reduction(+ : content_sum, position_sum, negative, absolute, distance, uniform)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t query = row % places;
    double reach = 0, total = 0, even = 0;
    for (int64_t m = 0; m < places; ++m) {
      const double weight = static_cast<double>(s[row * places + m]),
                   key = static_cast<double>(c[row * places + m]);
      const double dy = static_cast<double>(query / site.width - m / site.width);
      const double dx = static_cast<double>(query % site.width - m % site.width);
      const double apart = site.patch * std::sqrt(dy * dy + dx * dx);
      content_sum += key * key;
      position_sum += (weight - key) * (weight - key);
      if (weight < 0) negative -= weight;
      total += std::abs(weight);
      reach += std::abs(weight) * apart;
      even += apart / static_cast<double>(places);
    }
    absolute += total;
    distance += total > 0 ? reach / total : 0;
    uniform += even;
  }
  content_ += content_sum;
  position_ += position_sum;
  negative_ += negative;
  absolute_ += absolute;
  distance_ += distance;
  uniform_ += uniform;
  queries_ += static_cast<double>(rows);
}

double LambdaWeights::content_share() const {
  return content_ + position_ > 0 ? content_ / (content_ + position_) : 0;
}
double LambdaWeights::negative_share() const { return absolute_ > 0 ? negative_ / absolute_ : 0; }
double LambdaWeights::distance() const { return queries_ > 0 ? distance_ / queries_ : 0; }
double LambdaWeights::uniform_distance() const { return queries_ > 0 ? uniform_ / queries_ : 0; }

std::vector<LambdaContributions> lambda_contributions(const Model& model, const Tensor& images,
                                                      const std::vector<int64_t>& classes) {
  const ContextGuard mode({.training = false});
  const FrozenParameters frozen(model.store());
  std::vector<LambdaContributions> result;
  std::vector<Tensor> values;
  const ProbeGuard probe({"lambda_values"}, [&](const TapSite& site, const Tensor& v) {
    result.push_back({site, {}});
    values.push_back(v.tracked() ? v : v.leaf());
    return values.back();
  });
  const Tensor logits = model(images);
  if (values.empty()) return result;
  const int64_t count = logits.size(1);
  std::vector<double> seed(static_cast<size_t>(logits.numel()), -1.0 / static_cast<double>(count));
  for (size_t n = 0; n < classes.size(); ++n)
    seed[n * static_cast<size_t>(count) + static_cast<size_t>(classes[n])] += 1;
  const std::vector<Tensor> slopes =
      grad(logits, values, {.seed = Tensor::from(seed, logits.shape(), logits.dtype())});
  for (size_t l = 0; l < values.size(); ++l) {
    const std::vector<double> v = values[l].values(), g = slopes[l].values();
    const auto width = static_cast<size_t>(values[l].size(-1));
    for (size_t first = 0; first < v.size(); first += width) {
      double product = 0;
      for (size_t c = first; c < first + width; ++c) product += v[c] * g[c];
      result[l].values.push_back(product);
    }
  }
  return result;
}

}  // namespace passband
