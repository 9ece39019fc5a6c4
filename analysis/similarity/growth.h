// Growth with the data: layers of a network compared with those of networks of the same
// architecture that were trained on a share of the data, from another seed, or not at all (Raghu et
// al., NeurIPS 2021, section 6). Time: a forward pass of every network a picture, n p a layer of p
// features for batches of n. Memory: n^2 doubles a layer and network.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// CKA of corresponding layers of a reference and of others, summed over minibatches; unbiased,
// linear kernel (cka.h).
class CorrespondingCka {
 public:
  CorrespondingCka(int64_t others, int64_t layers);
  // U-centred kernels of one batch, (1, n * n) f64: [network][layer], the reference first.
  void add(const std::vector<std::vector<Tensor>>& kernels);
  // (others, layers), after at least one batch; NaN where a layer of either network is dead.
  std::vector<std::vector<double>> values() const;

 private:
  int64_t layers_;
  // by network, (layers) f64 where the kernels lie; self_[0] is the reference's
  std::vector<Tensor> cross_, self_;
};

}  // namespace passband
