// The exercises of lesson 4, which exercises.cpp holds and check.cpp looks at.
#pragma once
#include <array>
#include <vector>

#include <passband/passband.h>

// The row of a 3 x 3 convolution's matrix for one place of a map (side, side) padded by zeros: what
// each of the side x side places is multiplied with. weights[dy + 1][dx + 1].
std::vector<double> convolution_row(const std::array<std::array<double, 3>, 3>& weights, int side,
                                    int row, int column);

// The row of attention's matrix for token `query`: softmax(q k^T / sqrt(d)); q, k (T, d) -> T
// numbers.
std::vector<double> attention_row(const passband::Tensor& q, const passband::Tensor& k, int query);
