// The loss around a trained network: surfaces along random directions that are scaled filter by
// filter (Li et al., NeurIPS 2018).
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "analysis/loss/hessian.h"

namespace passband {

// How a random direction is scaled to the weights w. Tensors of one dimension (norms, biases) do
// not move.
enum class FilterNorm {
  filter,    // Li et al.: d_f <- d_f |w_f| / (|d_f| + 1e-10) for each output filter f
  position,  // the script of Park and Kim (2022): the same for each place within the filters,
             // across all of them (their "filter" is dimension 0), 1e-7; position embeddings do not
             // move
};

// A normal direction (P), drawn for each parameter from its name, scaled by the rule. In a lambda
// layer's table of positions a filter is a query depth, the first dimension of its convolution.
Tensor landscape_direction(const ParameterStore& store, uint64_t seed, FilterNorm rule);

// One place: theta + a * first + b * second.
struct LandscapePoint {
  double a = 0, b = 0;
  double nll = NAN;    // mean cross-entropy
  double decay = NAN;  // what weight decay adds
  double accuracy = NAN;
  bool done = false;

  double loss() const { return nll + decay; }
};

// Points of a grid, row by row: b along the rows (one row of b = 0 when `sides_b` is empty).
std::vector<LandscapePoint> landscape_grid(const std::vector<double>& sides_a,
                                           const std::vector<double>& sides_b);

struct LandscapeTask {
  Tensor first, second;  // directions (P); `second` undefined where all b are 0
  LossTerms terms;
  // where finished points are kept, so that a later call goes on; empty: nowhere
  std::filesystem::path partial;
  Progress progress;
};

// Fills in what is not done yet. Weights are restored also when it throws. Time: one forward pass
// per picture and point; memory does not grow with either. Throws DataError when `partial` holds
// another grid.
void measure_landscape(Model& model, const LossBatches& batches, const LandscapeTask& options,
                       std::vector<LandscapePoint>& points);

// Finished points as text, and back: one line "index nll decay accuracy" a point, every digit.
std::string landscape_to_text(const std::vector<LandscapePoint>& points);
void landscape_from_text(const std::string& text, const std::string& path,
                         std::vector<LandscapePoint>& points);

// The first distance from zero at which `loss`, mean over both ways along `places` (symmetric about
// 0), has risen by `rise` above its value at 0; interpolated linearly. Infinite when it never does.
double distance_of_rise(const std::vector<double>& places, const std::vector<double>& loss,
                        double rise);

}  // namespace passband
