// The mathematics of models/initial_values.h: factors of matrices near the identity, and of those
// whose attention looks at one neighbour. All in f64 in the processor's memory.
#pragma once
#include <vector>

#include "nn/grid.h"
#include "tensor/core/tensor.h"

namespace passband {

// What multiplies random positions before attention is fitted to them, and the Frobenius norm of
// the query and key weights that are (the constants of arXiv 2505.19985's code).
inline constexpr double kStructuredPositions = 18, kStructuredNorm = 7;

// left^T right is the best approximation of a matrix (n, m) of its rank or less: rows
// sqrt(s_i) u_i and sqrt(s_i) v_i of its largest singular values.
struct Factors {
  Tensor left, right;  // (rank, n), (rank, m)
};

// Of alpha Z + beta I, (width, width), Z uniform with mean 0 and variance 1 / width.
Factors near_identity(int64_t width, int64_t rank, double alpha, double beta, const RandomKey& key);

// Rows cos and sin of x, then of y, at width / 4 frequencies 10000^(-i / (width / 4 - 1)): (pixels,
// width), row by row of the grid.
Tensor sincos_positions(Grid grid, int64_t width);

// The pseudo-inverse of the rows of positions, each of mean 0 and variance 1 as a layer norm makes
// them, of rank at most `rank`: (width, tokens) from (tokens, width).
Tensor inverse_of_normalised(const Tensor& positions, int64_t rank);

// Query and key weights (rank, width) of a head that looks, where tokens are their positions, at
// the neighbour `which` (0: itself, then above, right, left, below, and the corners): the factors
// of P^+ M P^+^T, where M is 1000 at the neighbour of each token of the grid and elsewhere 3 times
// truncated normal noise of deviation 0.6, scaled to kStructuredNorm each.
Factors looks_at(int64_t which, Grid grid, const Tensor& inverse, int64_t rank,
                 const RandomKey& key);

// The same in a table of relative positions, key minus query, of windows of `window` x `window`
// pixels, ((2 window - 1)^2): at the neighbour a logit that gives it 0.95 of the probability where
// all others are 0 (Cordonnier et al. 2020, theorem 1: attention by relative positions alone can be
// any convolution), and 0 elsewhere.
std::vector<double> looks_at(int64_t which, int64_t window);

}  // namespace passband
