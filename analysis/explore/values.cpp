#include "analysis/explore/values.h"

#include <algorithm>
#include <cmath>

#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/autograd/trace.h"
#include "tensor/core/error.h"
#include "tensor/ops/fft.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"

namespace passband {

std::vector<Tensor> graph_values(Model& model, const NetworkGraph& graph, const Tensor& picture,
                                 const std::vector<Edit>& edits) {
  const NoGrad no_grad;
  const ContextGuard mode({.training = false, .compute = DType::f32});
  const EditGuard guard(model, edits);
  struct Result {
    std::string_view name;
    Tensor value;
  };
  std::vector<Result> heard;
  std::map<std::string, Tensor> shown;
  {
    const ListenGuard listen([&](const HeardOperation& operation) {
      heard.push_back({operation.name, operation.output});
    });
    const ProbeGuard probe(explored_taps(), [&](const TapSite& site, const Tensor& buffer) {
      shown[site.path] = buffer;  // behind the edits
      return buffer;
    });
    model(picture);
  }
  std::vector<Tensor> values{picture};
  for (const GraphOperation& operation : graph.operations) {
    CHECK(operation.heard < heard.size() && heard[operation.heard].name == operation.name &&
              heard[operation.heard].value.shape() == operation.shape,
          "explore: ", model.name(), " ran other operations than before, at ", operation.name);
    const auto tapped =
        operation.sites.empty() ? shown.end() : shown.find(operation.sites.back().path);
    values.push_back(tapped == shown.end() ? heard[operation.heard].value : tapped->second);
  }
  return values;
}

std::vector<double> activity_of(const TapSite& site, const Tensor& value) {
  const NoGrad no_grad;
  return mean(abs(as_feature_map(site, value)), {0, 3}).values();
}

std::vector<double> ring_spectrum_of(const TapSite& site, const Tensor& value) {
  const NoGrad no_grad;
  const Tensor map = as_feature_map(site, value);
  const int64_t height = map.size(1), width = map.size(2), least = std::min(height, width);
  if (least < 3) return {};
  const std::vector<double> level = mean(log(fft2_magnitude(map) + 1e-6), {0, 3}).values();
  const int64_t rings = least / 2;
  std::vector<double> sums(static_cast<size_t>(rings + 1)), bins(sums.size());
  const auto axis = [](int64_t i, int64_t side) {
    return static_cast<double>(std::min(i, side - i)) / static_cast<double>(side);
  };
  for (int64_t i = 0; i < height; ++i)
    for (int64_t j = 0; j < width; ++j) {
      const double radius = 2 * std::hypot(axis(i, height), axis(j, width));
      const auto ring = static_cast<int64_t>(std::floor(radius * static_cast<double>(rings) + 0.5));
      if (ring > rings) continue;
      sums[static_cast<size_t>(ring)] += level[static_cast<size_t>(i * width + j)];
      bins[static_cast<size_t>(ring)] += 1;
    }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = sums[i] / bins[i] - level[0];
  return sums;
}

}  // namespace passband
