// Statistics of channels' maps.
#include "analysis/relevance/hydra_maps.h"

#include <algorithm>
#include <cmath>

#include "analysis/relevance/block_transport.h"
#include "tensor/autograd/node.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"

namespace passband {
namespace {

// (N, places, D) f64.
Tensor by_place(const TapSite& site, const Tensor& x) {
  CHECK(x.numel() == x.size(0) * places_of(site) * x.size(-1), "hydra maps: ", site.path, " shows ",
        x, " for ", places_of(site), " places");
  return reshape(cast(x.detach(), DType::f64), Shape{x.size(0), places_of(site), x.size(-1)});
}

}  // namespace

void HydraWeights::add(const TapSite& site, const Tensor& queries, const Tensor& keys) {
  NoGrad no_grad;
  const Tensor q = by_place(site, queries), k = by_place(site, keys);
  const Tensor rows = q * sum(k, {1}, /*keepdim=*/true);  // (N, T, D), sums of A_d[t, :]
  absolute_ += sum(abs(q) * sum(abs(k), {1}, /*keepdim=*/true)).item();
  signed_ += sum(rows).item();
  squares_ += sum(square(rows)).item();
  rows_ += static_cast<double>(rows.numel());
}

double HydraWeights::negative_share() const {
  return absolute_ > 0 ? 0.5 * (absolute_ - signed_) / absolute_ : 0;
}
double HydraWeights::row_sum() const { return rows_ > 0 ? signed_ / rows_ : 0; }
double HydraWeights::row_deviation() const {
  return rows_ > 0 ? std::sqrt(std::max(0.0, squares_ / rows_ - row_sum() * row_sum())) : 0;
}

Tensor channel_maps(const TapSite& site, const Tensor& queries, const Tensor& keys) {
  NoGrad no_grad;
  const int64_t middle = site.height / 2 * site.width + site.width / 2;
  return slice(by_place(site, queries), 1, site.prefix > 0 ? 0 : middle, 1) * by_place(site, keys);
}

Tensor naive_attention(const TapSite& site, const Tensor& queries, const Tensor& keys) {
  NoGrad no_grad;
  const Tensor q = by_place(site, queries), k = by_place(site, keys);
  const Tensor positive = relu(matmul(q, k, {.transpose_b = true}));  // (N, T, T)
  const Tensor rows = positive / clamp(sum(positive, {2}, /*keepdim=*/true), 1e-30, 1e30);
  return reshape(rows, rows.shape().inserted(1, 1));
}

}  // namespace passband
