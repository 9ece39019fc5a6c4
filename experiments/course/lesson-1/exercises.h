// The exercises of lesson 1, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <passband/passband.h>

// softplus(x) = log(1 + e^x), element by element; its gradient times dy, without autograd.
passband::Tensor softplus_gradient(const passband::Tensor& x, const passband::Tensor& dy);

// The x at which sum((A x - b)^2) is smallest, found by `steps` steps of gradient descent from 0.
// a (rows, n), b (rows, 1) -> (n, 1)
passband::Tensor least_squares(const passband::Tensor& a, const passband::Tensor& b, int steps,
                               double rate);
