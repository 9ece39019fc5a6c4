// Subsets of attention heads beside the layers of another network (Raghu et al., NeurIPS 2021,
// figure 5): do heads that look near compute what low convolutions compute?
//
// Heads are ordered by their mean attention distance; a subset is `size` neighbours in that order,
// its features the outputs of its heads side by side. Side by side kernels add, so that one pass
// gives CKA (cka.h: linear, unbiased) of every subset with every layer.
#pragma once
#include <vector>

#include "analysis/similarity/kernel_maps.h"

namespace passband {

struct HeadSubset {
  std::vector<int64_t> heads;  // their numbers in the layer, in the order of distance
  double distance = 0;         // mean over them, input pixels
  std::vector<double> cka;     // with each layer of the other network; NaN where that is dead
};

struct HeadSimilarity {
  TapSite site;                   // of the attention layer
  std::vector<double> distances;  // by head
  DepthAxis layers;               // of the other network
  std::vector<HeadSubset> subsets;
};

struct HeadSimilarityOptions {
  int64_t layer = 1;  // attention layer, counted from 1
  int64_t size = 0;   // of a subset; 0: a quarter of the heads, at least one
  int64_t batch = 256;
};

// How many layers of a network show attention with heads. Time: a forward pass of one picture.
int64_t attention_layers(const Model& model);

// Number of the first network that has some; that of all networks without any.
size_t network_of_heads(const std::vector<Subject>& subjects);

// Throws UsageError where the network has no such attention layer or not so many heads. Time: a
// forward pass of both networks a picture, then per batch of n pictures n^2 p for each head and
// layer of p features. Memory: n^2 doubles for each of them.
HeadSimilarity measure_head_similarity(const Subject& of, const Subject& against,
                                       const Dataset& data, int64_t images,
                                       const HeadSimilarityOptions& options,
                                       const Progress& progress);

}  // namespace passband
