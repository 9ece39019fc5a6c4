#include "analysis/similarity/growth.h"

#include <cmath>

#include "tensor/autograd/node.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/shape.h"
#include "tensor/ops/vecdot.h"

namespace passband {
namespace {

void add_kernels(Tensor& sums, const Tensor& products) {
  if (sums.defined()) add_(sums, products);
  else sums = products;
}

}  // namespace

CorrespondingCka::CorrespondingCka(int64_t others, int64_t layers)
    : layers_(layers),
      cross_(static_cast<size_t>(others)),
      self_(static_cast<size_t>(others) + 1) {}

void CorrespondingCka::add(const std::vector<std::vector<Tensor>>& kernels) {
  NoGrad no_grad;
  CHECK(kernels.size() == self_.size(), "growth: kernels of ", kernels.size(),
        " networks, expected ", self_.size());
  Tensor first;
  for (size_t s = 0; s < kernels.size(); ++s) {
    CHECK(std::ssize(kernels[s]) == layers_, "growth: network ", s, " has ", kernels[s].size(),
          " layers, the reference ", layers_);
    const Tensor all = concat(kernels[s], 0);  // (layers, n * n)
    if (s == 0) first = all;
    add_kernels(self_[s], vecdot(all, all));
    if (s > 0) add_kernels(cross_[s - 1], vecdot(first, all));
  }
}

std::vector<std::vector<double>> CorrespondingCka::values() const {
  std::vector<std::vector<double>> result;
  const std::vector<double> reference = self_[0].values();
  for (size_t s = 0; s < cross_.size(); ++s) {
    const std::vector<double> own = self_[s + 1].values();
    std::vector<double>& cka = result.emplace_back(cross_[s].values());
    for (size_t layer = 0; layer < cka.size(); ++layer) {
      const double scale = reference[layer] * own[layer];
      cka[layer] = scale > 0 ? cka[layer] / std::sqrt(scale) : std::nan("");
    }
  }
  return result;
}

}  // namespace passband
