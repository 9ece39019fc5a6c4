// Two centrings of kernel matrices, each its own adjoint: rows and columns are treated alike.
#include "tensor/ops/centre.h"

#include "tensor/ops/centre_kernels.h"

namespace passband {
namespace {

Tensor centred(const Tensor& x, const Centring& centring) {
  Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), centre, y, x, x.size(-1), centring);
  return y;
}

struct DoubleCentre {
  static constexpr auto name = "double_centre";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& k) const {
    const auto n = static_cast<double>(k.size(-1));
    return centred(k, {.margin = 1 / n, .total = 1 / (n * n)});
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {double_centre(dy)}; }
};

struct UCentre {
  static constexpr auto name = "u_centre";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& k) const {
    const auto n = static_cast<double>(k.size(-1));
    return centred(k, {.margin = 1 / (n - 2), .total = 1 / ((n - 1) * (n - 2)), .hollow = true});
  }
  Grads backward(const Saved&, const Tensor& dy) const { return {u_centre(dy)}; }
};

void check_square(const char* op, const Tensor& k, int64_t least) {
  CHECK(k.rank() >= 2 && k.size(-1) == k.size(-2) && k.size(-1) >= least, op,
        ": needs matrices (..., n, n) with n >= ", least, ", not ", k);
}

}  // namespace

Tensor double_centre(const Tensor& k) {
  check_square("double_centre", k, 1);
  return apply(DoubleCentre{}, k);
}

Tensor u_centre(const Tensor& k) {
  check_square("u_centre", k, 3);
  return apply(UCentre{}, k);
}

}  // namespace passband
