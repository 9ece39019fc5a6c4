#include "analysis/growth.h"

#include <cmath>
#include <numeric>

namespace passband {
namespace {

double product(const Tensor& a, const Tensor& b) {
  CHECK(a.numel() == b.numel(), "growth: kernels are ", a, " and ", b);
  return std::inner_product(a.data<double>(), a.data<double>() + a.numel(), b.data<double>(), 0.0);
}

}  // namespace

CorrespondingCka::CorrespondingCka(int64_t others, int64_t layers)
    : cross_(static_cast<size_t>(others), std::vector<double>(static_cast<size_t>(layers))),
      self_(static_cast<size_t>(others) + 1, std::vector<double>(static_cast<size_t>(layers))) {}

void CorrespondingCka::add(const std::vector<std::vector<Tensor>>& kernels) {
  CHECK(kernels.size() == self_.size(), "growth: kernels of ", kernels.size(), " networks, expected ", self_.size());
  for (size_t s = 0; s < kernels.size(); ++s) {
    CHECK(kernels[s].size() == self_[s].size(), "growth: network ", s, " has ", kernels[s].size(),
          " layers, the reference ", self_[s].size());
    for (size_t layer = 0; layer < kernels[s].size(); ++layer) {
      self_[s][layer] += product(kernels[s][layer], kernels[s][layer]);
      if (s > 0) cross_[s - 1][layer] += product(kernels[0][layer], kernels[s][layer]);
    }
  }
}

std::vector<std::vector<double>> CorrespondingCka::values() const {
  std::vector<std::vector<double>> result = cross_;
  for (size_t s = 0; s < result.size(); ++s)
    for (size_t layer = 0; layer < result[s].size(); ++layer) {
      const double scale = self_[0][layer] * self_[s + 1][layer];
      result[s][layer] = scale > 0 ? cross_[s][layer] / std::sqrt(scale) : std::nan("");
    }
  return result;
}

}  // namespace passband
