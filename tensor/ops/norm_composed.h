// Gradients of a normalisation: what they are made from, and how by tensor algebra, for derivatives
// of the second order and up.
#pragma once
#include <vector>

#include "tensor/autograd/node.h"

namespace passband {

struct NormGradients {
  Tensor dx, dgamma, dbeta;
};

// What the backward pass needs of the forward pass. mean and rstd are in the type of the
// statistics.
struct NormSaved {
  const Tensor &x, &mean, &rstd, &gamma;
};

// Of y = gamma * (x - mean) * rstd + beta with mean and variance of x over `dims`; x, dy and gamma
// of one type, gamma (and beta) broadcast against x. With xhat = (x - mean) * rstd and g = dy *
// gamma:
//   dx = rstd * (g - mean(g) - xhat * mean(g * xhat)),  dgamma = sum dy * xhat,  dbeta = sum dy.
// Mean and rstd are computed again from x, so that every dependence is in the graph.
NormGradients composed_norm_gradients(const Tensor& x, const Tensor& gamma, const Tensor& dy,
                                      const std::vector<int>& dims, double eps);

// The type in which statistics and scales of a norm of x are kept: f32, or f64 for f64.
inline DType statistics_type(const Tensor& x) {
  return x.dtype() == DType::f64 ? DType::f64 : DType::f32;
}

// Throws unless `parameter` is one number per channel in the type of the statistics of x.
void check_norm_parameter(const char* op, const char* name, const Tensor& parameter,
                          const Tensor& x);

}  // namespace passband
