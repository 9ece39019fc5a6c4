#include "analysis/explore/values.h"

#include "models/ring_spectrum.h"
#include "nn/context.h"
#include "tensor/autograd/node.h"
#include "tensor/autograd/trace.h"
#include "tensor/core/error.h"
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
  return ring_spectrum(as_feature_map(site, value));
}

}  // namespace passband
