// Lookahead (Zhang et al., NeurIPS 2019) as airbench94 has it (Jordan, arXiv 2404.00498): every
// five steps the weights move towards their own average, and the average towards them.
#pragma once
#include "nn/parameters.h"

namespace passband {

// After step t of T, for every fifth t, with the decay d = 0.95^5 (t / T)^3:
//   slow = d slow + (1 - d) weights;   weights = slow
// and after step T, weights = slow. Running statistics go the same way; they need a momentum that
// follows weights as fast. The host waits for no device.
class Lookahead {
 public:
  // The store, built and on its device, must outlive this.
  explicit Lookahead(ParameterStore& store);
  // Call after every step, `step` from 1.
  void follow(int64_t step, int64_t total_steps);

  Tensor values, buffers;  // the slow ones: what a checkpoint holds

 private:
  ParameterStore& store_;
};

}  // namespace passband
