#include "analysis/relevance/value_contributions.h"

#include "analysis/relevance/block_transport.h"
#include "analysis/study/finite.h"
#include "analysis/study/frozen_parameters.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {

std::vector<ValueContributions> value_contributions(const Model& model, const Tensor& images,
                                                    const std::vector<int64_t>& classes,
                                                    const std::string& tap) {
  const ContextGuard mode({.training = false});
  const FrozenParameters frozen(model.store());
  std::vector<ValueContributions> result;
  std::vector<Tensor> values;
  const ProbeGuard probe({tap}, [&](const TapSite& site, const Tensor& v) {
    result.push_back({site, {}});
    values.push_back(v.tracked() ? v : v.leaf());
    return values.back();
  });
  const Tensor logits = finite_logits(model, images);
  if (values.empty()) return result;
  const std::vector<Tensor> slopes =
      grad(logits, values, {.seed = excess_seed(logits, classes), .allow_unused = true});
  for (size_t l = 0; l < values.size(); ++l) {
    const Tensor v = values[l].detach();
    result[l].values = slopes[l].defined()
                           ? vecdot(v, slopes[l].detach()).values()
                           : std::vector<double>(static_cast<size_t>(v.numel() / v.size(-1)));
    check_finite(model, result[l].values, "the contributions of its " + result[l].site.path);
  }
  return result;
}

}  // namespace passband
