// Initial values that stand in the place of a network's own: convolutions that begin as the
// identity, attention that begins as trained attention looks or as a convolution, positions as
// waves.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"

namespace passband {

struct InitialValues {
  // Of every convolution but the first, the filters that have an input channel of their own pass it
  // on (Zagoruyko and Komodakis 2017; Jordan, arXiv 2404.00498): in each group filter i is 1 at the
  // centre of channel i and 0 elsewhere, for as many as there are input channels; the rest stay.
  bool dirac = false;
  // Self-attention as in Trockman and Kolter, ICML 2023 (arXiv 2305.09828): of each head the
  // product of query and key weights is 0.7 I + 0.7 Z, that of value and projection weights
  // 0.4 Z - 0.4 I, entries of Z uniform of variance 1 / width; both split by their singular value
  // decomposition, U sqrt(S) and sqrt(S) V^T, cut to the rank that there is.
  bool mimetic = false;
  // Self-attention that begins as a convolution (Zheng et al., arXiv 2404.01139 and, in closed
  // form, 2505.19985): head h looks at the k-th neighbour of each token, k = h mod 9 (itself,
  // above, right, left, below, corners), as far as the normalised positions alone decide. Their
  // constants: query and key weights of Frobenius norm 7, random positions times 18; values as for
  // `mimetic`. Waves (`sincos`) are too smooth for it: with them a head looks about its neighbour.
  // Attention in windows begins so by its table of relative positions, exactly (Cordonnier et al.
  // 2020); where all heads share a table, the k-th layer looks at the neighbour k mod 9.
  bool structured = false;
  // Tables of positions begin as sines and cosines of both coordinates (Beyer et al., arXiv
  // 2205.01580), 0 for tokens that stand on no place.
  bool sincos = false;

  bool any() const { return dirac || mimetic || structured || sincos; }
};

// "dirac", "mimetic,dirac", ... and "standard" or "sincos". Throws UsageError.
InitialValues initial_values_from(const std::string& init, const std::string& positions);

// Gives them to a model that is built and on the host, and says in a line what got them. Draws are
// keyed by the seed and the parameters' names. Throws UsageError where the model has nothing that
// could begin so.
std::vector<std::string> initialise(Model& model, const InitialValues& values, uint64_t seed);

}  // namespace passband
