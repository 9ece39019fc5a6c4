// Which parameters of a network an optimiser treats apart from the others.
#pragma once
#include <vector>

#include "nn/parameters.h"

namespace passband {

// The weights of hidden layers that are matrices, or filters (out, kh, kw, in) to be read as
// matrices (out, kh kw in), in the order of the store: what Muon is for (Jordan et al. 2024). Not
// the classifier, embeddings of patches and positions, biases, norms, tables, a single row or
// column, and what is frozen.
std::vector<bool> hidden_matrices(const ParameterStore& store);

// Whether a parameter is the bias of a batch norm, likewise.
std::vector<bool> batch_norm_biases(const ParameterStore& store);

}  // namespace passband
