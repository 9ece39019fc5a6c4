// Linear probes: what a ridge regression reads from each layer, from single places and from their
// mean.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/places/ridge.h"
#include "analysis/study/progress.h"
#include "data/dataset.h"
#include "models/model.h"

namespace passband {

struct ProbeOptions {
  // pictures; the first two from the training set
  int64_t train = 2000, validation = 500, test = 1000;
  int64_t shots = 10;  // pictures per class of the small probes
  // bounds the sums of single-place probes: further places are left out
  int64_t token_megabytes = 512;
  bool standardise = true;
  // Penalties to choose from on the validation pictures, relative to the number of examples.
  std::vector<double> lambdas = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};
};

// What the probes of one layer get right, shares of the test pictures.
struct ProbeLayer {
  TapSite site;
  // What the block mixes places by: that of its attention where attention and MLP are one block.
  BlockKind kind = BlockKind::conv;
  double mean = 0;               // mean over places
  std::vector<bool> right;       // the same for each test picture
  double mean_shots = 0;         // the same from `shots` pictures per class
  double class_token = -1;       // the class token; -1: none
  double everything = -1;        // mean over places and class token; -1: none
  double places = 0;             // probes of single places, mean over places
  double lambda = 0;             // chosen for `mean`
  std::vector<double> by_place;  // accuracy at each probed place, row-major on `grid_h` x `grid_w`
  int64_t grid_h = 0, grid_w = 0;
};

// Probes of the residual stream after every block (of a transformer: after each MLP, and of the
// embedding; Raghu et al. 2021, figures 11 and 13). Convolution maps are brought to the last map's
// grid: a place is its cell, cut into q x q sub-cells that are averaged and set side by side, q the
// largest divisor for which the features do not outnumber the last layer's channels. Lambda is
// chosen on validation pictures from one eigendecomposition; the probe stays the one of the
// training pictures.
//
// Time: a forward pass for every picture, d^2 per picture and probe, d^3 per probe of d features.
// Memory: d^2 per probe (at most token_megabytes for single places), shots * classes examples; not
// the number of pictures.
std::vector<ProbeLayer> probe_layers(const Model& model, const Dataset& train, const Dataset& test,
                                     const ProbeOptions& options, const Progress& progress = {});

// A feature map (N, H, W, C) on a coarser grid, see above: (N, grid_h, grid_w, q q C). The grids
// must divide.
Tensor cell_features(const Tensor& map, int64_t grid_h, int64_t grid_w, int64_t most_channels);

}  // namespace passband
