// The Fourier transform as two linear operations, its real and its imaginary part. Their matrices,
// cos and -sin of 2 pi (uh/H + vw/W), do not change when (h, w) and (u, v) trade places: each
// operation is its own adjoint.
#include "tensor/ops/fft.h"

#include "tensor/ops/fft_kernels.h"
#include "tensor/ops/pointwise.h"

namespace passband {
namespace {

Tensor transform(const Tensor& x, FourierPart part) {
  Tensor y = Tensor::empty_like(x);
  DISPATCH(x.device(), fft2, y, x, part);
  return y;
}

struct Fft2Real {
  static constexpr auto name = "fft2_real";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& x) const { return transform(x, FourierPart::real); }
  Grads backward(const Saved&, const Tensor& dy) const { return {fft2_real(dy)}; }
};

struct Fft2Imaginary {
  static constexpr auto name = "fft2_imaginary";
  static constexpr auto saves = Save::none;
  Tensor forward(const Tensor& x) const { return transform(x, FourierPart::imaginary); }
  Grads backward(const Saved&, const Tensor& dy) const { return {fft2_imaginary(dy)}; }
};

struct Fft2Magnitude {
  static constexpr auto name = "fft2_magnitude";
  static constexpr auto saves = Save::input;
  Tensor forward(const Tensor& x) const { return transform(x, FourierPart::magnitude); }
  Grads backward(const Saved& s, const Tensor& dy) const {
    const Tensor real = fft2_real(s.input(0)), imaginary = fft2_imaginary(s.input(0));
    const Tensor scale = dy * rsqrt(square(real) + square(imaginary));
    return {fft2_real(real * scale) + fft2_imaginary(imaginary * scale)};
  }
};

void check_map(const char* op, const Tensor& x) {
  CHECK(x.rank() == 4, op, ": needs feature maps (N, H, W, C), not ", x);
}

}  // namespace

Tensor fft2_real(const Tensor& x) {
  check_map("fft2_real", x);
  return apply(Fft2Real{}, x);
}

Tensor fft2_imaginary(const Tensor& x) {
  check_map("fft2_imaginary", x);
  return apply(Fft2Imaginary{}, x);
}

Tensor fft2_magnitude(const Tensor& x) {
  check_map("fft2_magnitude", x);
  return apply(Fft2Magnitude{}, x);
}

}  // namespace passband
