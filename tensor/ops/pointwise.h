// Pointwise operations (`add`, `add_` and `fill_`: autograd/sum.h). Binary ones broadcast like
// numpy (dimensions aligned at the end, size 1 stretches); both operands have the same element
// type. Gradients of stretched operands are summed back (sum_to).
#pragma once
#include "tensor/autograd/node.h"
#include "tensor/autograd/sum.h"

namespace passband {

Tensor sub(const Tensor& a, const Tensor& b);      // da = dy, db = -dy
Tensor mul(const Tensor& a, const Tensor& b);      // da = dy * b, db = dy * a
Tensor div(const Tensor& a, const Tensor& b);      // da = dy / b, db = -dy * a / b^2
Tensor maximum(const Tensor& a, const Tensor& b);  // gradient to the larger; to a on ties
Tensor minimum(const Tensor& a, const Tensor& b);

Tensor add(const Tensor& a, double c);
Tensor mul(const Tensor& a, double c);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, double c) { return add(a, c); }
inline Tensor operator+(double c, const Tensor& a) { return add(a, c); }
inline Tensor operator-(const Tensor& a, double c) { return add(a, -c); }
inline Tensor operator*(const Tensor& a, double c) { return mul(a, c); }
inline Tensor operator*(double c, const Tensor& a) { return mul(a, c); }
inline Tensor operator/(const Tensor& a, double c) { return mul(a, 1.0 / c); }
inline Tensor operator-(const Tensor& a) { return mul(a, -1.0); }
inline Tensor operator-(double c, const Tensor& a) { return add(mul(a, -1.0), c); }

Tensor exp(const Tensor& x);                   // dx = dy * y
Tensor log(const Tensor& x);                   // dx = dy / x
Tensor sqrt(const Tensor& x);                  // dx = dy / (2 y)
Tensor rsqrt(const Tensor& x);                 // y = x^-1/2,  dx = -dy * y^3 / 2
Tensor reciprocal(const Tensor& x);            // dx = -dy * y^2
Tensor square(const Tensor& x);                // dx = 2 x dy
Tensor pow(const Tensor& x, double exponent);  // dx = dy * p * x^(p-1)
Tensor abs(const Tensor& x);                   // dx = dy * sign(x)
Tensor sign(const Tensor& x);                  // -1, 0, 1; derivative 0 almost everywhere
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);     // dx = dy * (1 - y^2)
Tensor sigmoid(const Tensor& x);  // dx = dy * y * (1 - y)
Tensor erf(const Tensor& x);      // dx = dy * 2/sqrt(pi) * e^(-x^2)
Tensor relu(const Tensor& x);     // dx = dy where y > 0 (0 at x = 0)
// x where x > 0, else slope * x;   dx = dy or slope * dy
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
// x where x > 0, else alpha * (e^x - 1);   dx = dy or dy * (y + alpha)
Tensor elu(const Tensor& x, double alpha = 1);
Tensor gelu(const Tensor& x);                            // x * Phi(x), exact (erf)
Tensor gelu_tanh(const Tensor& x);                       // the tanh approximation of GELU
Tensor silu(const Tensor& x);                            // x * sigmoid(x)
Tensor clamp(const Tensor& x, double low, double high);  // dx = dy where low < x < high

// In-place, outside graphs; bump the version of y. Shapes equal; `copy_` converts the element type
// and takes x from any device.
void add_scaled_(Tensor y, const Tensor& x, double a);  // y += a * x
void scale_(Tensor y, double a);                        // y *= a
void copy_(Tensor y, const Tensor& x);

}  // namespace passband
