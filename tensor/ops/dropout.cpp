// Dropout and stochastic depth are linear maps with a fixed diagonal: each is its own adjoint.
#include "tensor/ops/dropout.h"

#include "tensor/ops/dropout_kernels.h"

namespace passband {
namespace {

struct Dropout {
  static constexpr auto name = "dropout";
  static constexpr auto saves = Save::none;
  double p;
  RandomKey key;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), dropout, y, x, p, key);
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {dropout(dy, p, key)}; }
};

struct DropPath {
  static constexpr auto name = "drop_path";
  static constexpr auto saves = Save::none;
  double p;
  RandomKey key;
  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty_like(x);
    DISPATCH(x.device(), drop_groups, y, x, p, key, x.shape().inner(0));
    return y;
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {drop_path(dy, p, key)}; }
};

}  // namespace

Tensor dropout(const Tensor& x, double p, const RandomKey& key) {
  CHECK(p >= 0 && p < 1, "dropout: p must be in [0, 1), not ", p);
  return p == 0 ? x : apply(Dropout{p, key}, x);
}

Tensor drop_path(const Tensor& x, double p, const RandomKey& key) {
  CHECK(p >= 0 && p < 1, "drop_path: p must be in [0, 1), not ", p);
  CHECK(x.rank() >= 1, "drop_path: ", x, " has no samples");
  return p == 0 ? x : apply(DropPath{p, key}, x);
}

}  // namespace passband
